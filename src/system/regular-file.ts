// Reading what lies in a directory that others may write to: no link leads elsewhere, and a pipe waits for nobody.

import { closeSync, constants, fstatSync, openSync, readFileSync } from "node:fs";

/** Opens it for reading, whatever kind of file it is. Throws as Node.js does. */
export const openUnlinked = (path: string): number =>
  openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);

/** The content; undefined where something else than a file is. Throws as Node.js does, ELOOP for a link. */
export function readRegularFile(path: string): Buffer | undefined {
  const fd = openUnlinked(path);
  try {
    return fstatSync(fd).isFile() ? readFileSync(fd) : undefined;
  } finally {
    closeSync(fd);
  }
}
