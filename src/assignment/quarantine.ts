// What cannot be read is set aside in the state directory's `quarantine/`, never deleted: it may be all that is left
// to find out what happened.

import { randomBytes } from "node:crypto";
import * as fs from "node:fs";
import { basename, dirname, join } from "node:path";
import { syncDirectory } from "../system/atomic-file.ts";
import { makeDirectory, namesIn, numberOf } from "./layout.ts";

const quarantineIn = (stateDirectory: string): string => join(stateDirectory, "quarantine");

/** Moves `path`, a part of the state, and says where to; undefined when it is not there. Throws what the system says. */
export function setAside(stateDirectory: string, path: string): string | undefined {
  if (!fs.lstatSync(path, { throwIfNoEntry: false })) return undefined;
  const quarantine = quarantineIn(stateDirectory);
  makeDirectory(quarantine, 0o700);
  const aside = join(quarantine, `${basename(path)}-${randomBytes(3).toString("hex")}`);
  fs.renameSync(path, aside);
  syncDirectory(quarantine);
  syncDirectory(dirname(path));
  return aside;
}

/** Whether a generation was set aside, and not merely some other part of the state. */
export const holdsGeneration = (stateDirectory: string): boolean =>
  namesIn(quarantineIn(stateDirectory)).some((name) => numberOf(name.split("-", 1)[0] ?? "") !== undefined);
