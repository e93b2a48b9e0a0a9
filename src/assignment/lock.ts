// Two provisionings never run at once: whoever changes the state directory holds its lock.

import { join } from "node:path";
import { MooringError } from "../errors.ts";
import { fileFailure } from "../system/atomic-file.ts";
import { type FileLock, isDiskFull, lockHolder, takeFileLock } from "../system/file-lock.ts";

/** Held until it is disposed of, or the process ends. */
export interface Lock {
  [Symbol.dispose](): void;
}

const held = new Set<string>();

/**
 * Takes the state directory's lock, in this process or against others. Throws ERR_LOCKED when somebody holds it,
 * ERR_STATE_DIRECTORY or ERR_STATE_FULL when there can be none.
 */
export function lockState(stateDirectory: string): Lock {
  const path = join(stateDirectory, "lock");
  const lock = take(path);
  if (!lock) {
    const holder = lockHolder(path);
    const who = holder === undefined ? "another process" : `process ${holder}`;
    throw new MooringError("ERR_LOCKED", `${who} holds the lock ${path}`, { path });
  }
  held.add(path);
  return {
    [Symbol.dispose]: () => {
      if (held.delete(path)) lock.release();
    },
  };
}

/** True while this process holds the lock. */
export function holdsLock(stateDirectory: string): boolean {
  return held.has(join(stateDirectory, "lock"));
}

function take(path: string): FileLock | undefined {
  try {
    return takeFileLock(path);
  } catch (cause) {
    if (!isDiskFull(cause)) throw fileFailure("ERR_STATE_DIRECTORY", "lock", path, cause);
    throw new MooringError("ERR_STATE_FULL", `cannot lock ${path}: no space is left`, { cause, path });
  }
}
