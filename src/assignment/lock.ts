// Two provisionings never run at once. Node has no flock(2); SQLite takes the kernel's own file lock, which a killed
// process cannot leave behind, so nothing is ever stale.

import { closeSync, openSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { MooringError, systemCode } from "../errors.ts";
import { fileFailure } from "./atomic-file.ts";

/** Held until it is disposed of, or the process ends. */
export interface Lock {
  [Symbol.dispose](): void;
}

const held = new Set<string>();

/** Result codes of SQLite. */
const sqlite = { busy: 5, full: 13 };

/**
 * Takes the state directory's lock, in this process or against others. Throws ERR_LOCKED when somebody holds it,
 * ERR_STATE_DIRECTORY or ERR_STATE_FULL when there can be none.
 */
export function lockState(stateDirectory: string): Lock {
  const path = join(stateDirectory, "lock");
  try {
    createOnce(path);
    // Not imported above: keeping an assignment needs no lock and should not pay for it.
    const { DatabaseSync } = process.getBuiltinModule("node:sqlite");
    const database = new DatabaseSync(path);
    try {
      database.exec("BEGIN EXCLUSIVE");
    } catch (error) {
      database.close();
      throw error;
    }
    held.add(path);
    return {
      [Symbol.dispose]: () => {
        if (held.delete(path)) database.close();
      },
    };
  } catch (error) {
    if (resultCode(error) === sqlite.full)
      throw new MooringError("ERR_STATE_FULL", `cannot lock ${path}: no space is left`, {
        cause: error,
        path,
      });
    if (resultCode(error) !== sqlite.busy) throw fileFailure("ERR_STATE_DIRECTORY", "lock", path, error);
    const holder = holderOf(path);
    const who = holder === undefined ? "another process" : `process ${holder}`;
    throw new MooringError("ERR_LOCKED", `${who} holds the lock ${path}`, { cause: error, path });
  }
}

/** True while this process holds the lock. */
export function holdsLock(stateDirectory: string): boolean {
  return held.has(join(stateDirectory, "lock"));
}

/** An existing file is not opened: closing it again would drop the lock that this process may hold on it. */
function createOnce(path: string): void {
  try {
    closeSync(openSync(path, "wx", 0o600));
  } catch (error) {
    if (systemCode(error) !== "EEXIST") throw error;
  }
}

const resultCode = (error: unknown): unknown =>
  error instanceof Error && "errcode" in error ? error.errcode : undefined;

/** Process id of the holder, as far as the kernel tells. */
function holderOf(path: string): number | undefined {
  try {
    const inode = statSync(path).ino;
    const line = readFileSync("/proc/locks", "utf8").match(
      new RegExp(`POSIX +ADVISORY +WRITE +(\\d+) +\\S+:${inode} `),
    );
    return line ? Number(line[1]) : undefined;
  } catch {
    return undefined;
  }
}
