// Reading the files that an identity consists of: when that fails, say who owns the file and who we are; when the
// whole world can read a secret one, say that too.

import { readFileSync, statSync } from "node:fs";
import { MooringError, systemCode } from "../errors.ts";
import type { Log } from "../system/log.ts";
import { modeText, permissions } from "../system/permissions.ts";
import { Secret } from "../system/secret.ts";

/** Reads a file that `what` names in words, such as "the certificate". Throws ERR_IDENTITY_UNREADABLE. */
export function readIdentityFile(path: string, what: string): Buffer {
  try {
    return readFileSync(path);
  } catch (cause) {
    const reason =
      systemCode(cause) === "ENOENT" ? "there is no such file" : `${systemCode(cause)}${permissions(path)}`;
    throw new MooringError("ERR_IDENTITY_UNREADABLE", `cannot read ${what} ${path}: ${reason}`, {
      cause,
      path,
    });
  }
}

/** The same for a secret file: readable by others it is worth a warning. */
export function readSecretFile(path: string, what: string, log: Log): Secret {
  const content = readIdentityFile(path, what);
  const mode = statSync(path, { throwIfNoEntry: false })?.mode ?? 0;
  if (mode & 0o004)
    log.warn("identity.secret-file-open", { path, mode: modeText(mode), hint: `chmod o-rwx ${path}` });
  return new Secret(content);
}

/** A password file: its first line. */
export function readPasswordFile(path: string, log: Log): Secret {
  const [line = ""] = readSecretFile(path, "the password file", log).reveal().toString().split(/\r?\n/, 1);
  return new Secret(line);
}
