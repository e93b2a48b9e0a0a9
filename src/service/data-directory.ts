// The directory that belongs to one running service: made when missing, locked while it runs, and written to in a
// way that leaves either the old file or the new one.

import {
  closeSync,
  fchmodSync,
  fsyncSync,
  mkdirSync,
  openSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { MooringError } from "../errors.ts";

export interface DataDirectoryLock {
  release(): void;
}

/**
 * Makes the directory if need be and takes it for this process; the kernel gives it back however the process ends.
 * Throws ERR_SERVICE_START when another service has it, or when it cannot be written.
 */
export function lockDataDirectory(directory: string): DataDirectoryLock {
  let database: DatabaseSync | undefined;
  try {
    mkdirSync(directory, { recursive: true, mode: 0o755 });
    // Node offers no file locks of its own; an exclusive transaction of SQLite holds exactly one.
    database = new DatabaseSync(join(directory, "lock"), { timeout: 0 });
    database.exec("BEGIN EXCLUSIVE");
  } catch (error) {
    database?.close();
    const taken = error instanceof Error && "errcode" in error && error.errcode === 5; // SQLITE_BUSY
    if (!taken) {
      throw new MooringError("ERR_SERVICE_START", `cannot use the data directory ${directory}`, {
        cause: error,
        path: directory,
        hint: "check owner, mode and free space of the directory, or name another with --data",
      });
    }
    throw new MooringError(
      "ERR_SERVICE_START",
      `another service is running with the data directory ${directory}`,
      {
        cause: error,
        path: directory,
        hint: "stop the other service, or give this one a directory of its own with --data",
      },
    );
  }
  const held = database;
  return { release: () => held.close() };
}

/** Puts `text` at `path` with its final mode, durably: a reader or a power cut finds the old content or the new. */
export function writeNewFile(path: string, text: string, mode: number): void {
  const staged = `${path}.new`;
  try {
    rmSync(staged, { force: true });
    const file = openSync(staged, "wx", mode);
    try {
      fchmodSync(file, mode); // the umask may have taken bits away
      writeFileSync(file, text);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    renameSync(staged, path);
    const directory = openSync(dirname(path), "r");
    fsyncSync(directory);
    closeSync(directory);
  } catch (error) {
    throw new MooringError("ERR_SERVICE_START", `cannot write ${path}`, { cause: error, path });
  }
}
