// Notices that somebody replaced a file that registering depends on, such as certificate, key or trusted CAs, or that the
// driver of the TPM has come: the directories of those files are watched, because a replacement is a rename.

import { type FSWatcher, watch } from "node:fs";
import { basename, dirname } from "node:path";
import type { Config } from "../config/schema.ts";
import type { Tools } from "./connect.ts";

/** Certificate and key are two files: what is written within this time belongs together. */
const settleMs = 2_000;

/**
 * Calls `onChange` some time after an identity file was replaced, until disposed of. A directory that cannot be watched
 * is left out, and the log says so: SIGHUP does the same by hand.
 */
export function watchIdentity(
  { identity, provisioning }: Config,
  onChange: () => void,
  { clock, log }: Pick<Tools, "clock" | "log">,
): Disposable {
  const over = new AbortController();
  let settling = false;
  const changed = async (): Promise<void> => {
    if (settling) return;
    settling = true;
    await clock.sleep(settleMs, { signal: over.signal }).catch(() => {});
    settling = false;
    if (!over.signal.aborted) onChange();
  };

  const { source, tpm, x509, symmetricKey } = identity;
  const device = source === "tpm" || source === "auto" ? /^device:(\/.+)$/.exec(tpm.tcti)?.[1] : undefined;
  const files = [
    ...[device, tpm.ownerAuthFile, tpm.endorsementAuthFile],
    ...[x509?.certificate, x509?.privateKey, x509?.pkcs12, x509?.passwordFile],
    ...[symmetricKey?.keyFile, symmetricKey?.groupKeyFile],
    ...[provisioning.caFile, provisioning.proxyCredentialsFile, provisioning.payloadFile],
  ];
  const watchers: FSWatcher[] = [];
  for (const [directory, names] of byDirectory(files.filter((file) => file !== undefined))) {
    const unwatched = (error: unknown): void =>
      log.debug("identity.unwatched", {
        path: directory,
        error: error instanceof Error ? error.message : error,
      });
    try {
      const watcher = watch(directory, { persistent: false }, (event, name) => {
        // To use a device is to write to it, which is no change of it.
        if (event === "change" && device && name === basename(device)) return;
        if (name === null || names.has(name)) void changed();
      });
      watchers.push(watcher.on("error", unwatched));
    } catch (error) {
      unwatched(error);
    }
  }
  return {
    [Symbol.dispose]: () => {
      over.abort();
      for (const watcher of watchers) watcher.close();
    },
  };
}

function byDirectory(files: readonly string[]): Map<string, Set<string>> {
  const directories = new Map<string, Set<string>>();
  for (const file of files) {
    const names = directories.get(dirname(file)) ?? new Set();
    directories.set(dirname(file), names.add(basename(file)));
  }
  return directories;
}
