// The directory that belongs to one running service: made when missing, locked while it runs, and written to in a
// way that leaves either the old file or the new one.

import { join } from "node:path";
import { MooringError } from "../errors.ts";
import { writeAtomic } from "../system/atomic-file.ts";
import { makeDirectories } from "../system/directories.ts";
import { type FileLock, takeFileLock } from "../system/file-lock.ts";

/**
 * Makes the directory if need be and takes it for this process; the kernel gives it back however the process ends.
 * Throws ERR_SERVICE_START when another service has it, or when it cannot be written.
 */
export function lockDataDirectory(directory: string): FileLock {
  const lock = take(directory);
  if (lock) return lock;
  throw new MooringError(
    "ERR_SERVICE_START",
    `another service is running with the data directory ${directory}`,
    {
      path: directory,
      hint: "stop the other service, or give this one a directory of its own with --data",
    },
  );
}

/** Puts `text` at `path` with its final mode. Throws ERR_SERVICE_START, ERR_STATE_FULL. */
export const writeDataFile = (path: string, text: string, mode: number): void =>
  writeAtomic(path, text, { mode, failure: "ERR_SERVICE_START" });

function take(directory: string): FileLock | undefined {
  try {
    makeDirectories(directory, { mode: 0o755 });
    return takeFileLock(join(directory, "lock"));
  } catch (error) {
    throw new MooringError("ERR_SERVICE_START", `cannot use the data directory ${directory}`, {
      cause: error,
      path: directory,
      hint: "check owner, mode and free space of the directory, or name another with --data",
    });
  }
}
