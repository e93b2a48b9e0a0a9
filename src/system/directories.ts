// Making a directory with all that it lies in.

import { mkdirSync, statSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { systemCode } from "../errors.ts";

/**
 * Makes the directories of a path that are missing, each with this mode less the umask. Throws what the system says.
 * Node's own way never ends, and hears no signal, where there can be no new directory and the system says ENOENT: /proc.
 */
export function makeDirectories(path: string, { mode = 0o777 }: { mode?: number } = {}): void {
  const missing: string[] = [];
  for (let at = resolve(path); !isDirectory(at); at = dirname(at)) missing.unshift(at);
  for (const directory of missing) {
    try {
      mkdirSync(directory, { mode });
    } catch (error) {
      // Another process may have been faster.
      if (systemCode(error) !== "EEXIST" || !isDirectory(directory)) throw error;
    }
  }
}

/** What may not be looked at counts as missing: making it then says why not. */
function isDirectory(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch {
    return false;
  }
}
