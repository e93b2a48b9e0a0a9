// Notices that somebody replaced a file that registering depends on, such as certificate, key or trusted CAs, or that the
// driver of the TPM has come.

import { type BigIntStats, statSync } from "node:fs";
import type { Config } from "../config/schema.ts";
import { systemCode } from "../errors.ts";
import type { Tools } from "./connect.ts";
import { type Checked, watchPlaces } from "./place-watch.ts";

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
): Checked {
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
  ].filter((file) => file !== undefined);
  const looks = (): string => files.map((file) => lookOf(file, { isDevice: file === device })).join();

  let before = looks();
  const check = (): void => {
    const now = looks();
    if (now !== before) void changed();
    before = now;
  };
  const places = watchPlaces(files, check, { log });
  return {
    check,
    [Symbol.dispose]: () => {
      over.abort();
      places[Symbol.dispose]();
    },
  };
}

/** Another text for another file, wherever links lead. To use a device is to write to it, which is no change of it. */
function lookOf(file: string, { isDevice }: { isDevice: boolean }): string {
  let stat: BigIntStats | undefined;
  try {
    stat = statSync(file, { bigint: true, throwIfNoEntry: false });
  } catch (error) {
    return systemCode(error) ?? "unknown";
  }
  if (!stat) return "missing";
  const { dev, ino, rdev, mode, uid, gid, size, mtimeNs, ctimeNs } = stat;
  return [dev, ino, ...(isDevice ? [rdev, mode, uid, gid] : [size, mtimeNs, ctimeNs])].join(":");
}
