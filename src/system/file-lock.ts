// A lock between processes. Node has no flock(2); SQLite takes the kernel's own file lock, which a killed process
// cannot leave behind, so nothing is ever stale.

import { closeSync, openSync, readFileSync, statSync } from "node:fs";
import { systemCode } from "../errors.ts";

/** Held until it is released, or the process ends. */
export interface FileLock {
  release(): void;
}

/** Keeps what is locked reachable: garbage collection would close the database, and with it give up the lock. */
const held = new Set<{ close(): void }>();

/** Result codes of SQLite. */
const sqlite = { busy: 5, full: 13 };

/** Creates the file if need be and locks it; undefined when somebody else holds it. Throws what the system says. */
export function takeFileLock(path: string): FileLock | undefined {
  createOnce(path);
  // Not imported above: whoever needs no lock should not pay for it.
  const { DatabaseSync } = process.getBuiltinModule("node:sqlite");
  const database = new DatabaseSync(path, { timeout: 0 });
  try {
    database.exec("BEGIN EXCLUSIVE");
  } catch (error) {
    database.close();
    if (resultCode(error) === sqlite.busy) return undefined;
    throw error;
  }
  held.add(database);
  return {
    release: () => {
      if (held.delete(database)) database.close();
    },
  };
}

/** Whether it could not be locked because the disk is full. */
export const isDiskFull = (error: unknown): boolean => resultCode(error) === sqlite.full;

/** Process id of the holder, as far as the kernel tells. */
export function lockHolder(path: string): number | undefined {
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
