// After a power cut or a dying disk: the newest generation that is good, and what to do with the ones that are not.
// A damaged one goes to `quarantine/`, never to the bin.

import * as fs from "node:fs";
import { join } from "node:path";
import type { Log } from "../system/log.ts";
import { directoryOf, linkCurrent, linkedNumber, numbersIn } from "./layout.ts";
import { holdsLock, lockState } from "./lock.ts";
import { setAside } from "./quarantine.ts";
import { type Generation, readGeneration, type Unusable } from "./stored.ts";

export interface Found {
  readonly linked: number | undefined;
  readonly good: Generation | undefined;
  readonly unusable: readonly Unusable[];
}

/** The current generation if it is good, else the newest good one before it, else the newest after it. Reads only. */
export function newestGood(stateDirectory: string): Found {
  const linked = linkedNumber(stateDirectory);
  const unusable: Unusable[] = [];
  const numbers = numbersIn(stateDirectory);
  // Numbers above the current one are of a promotion that was cut off before its flip, or were rolled back: the last resort.
  const inTurn =
    linked === undefined
      ? numbers
      : [linked, ...numbers.filter((one) => one < linked), ...numbers.filter((one) => one > linked)];
  for (const number of inTurn) {
    const found = readGeneration(stateDirectory, number);
    if ("directory" in found) return { linked, good: found, unusable };
    unusable.push(found);
  }
  return { linked, good: undefined, unusable };
}

/** Nothing is to be repaired: what is current is a newer version's, and a good one before it is used meanwhile. */
export const isHeldByNewer = ({ linked, good, unusable }: Found): boolean =>
  good !== undefined && isOfNewer(unusable, linked) && unusable.every(({ isDamaged }) => !isDamaged);

const isOfNewer = (unusable: readonly Unusable[], linked: number | undefined): boolean =>
  unusable.some(({ number, isDamaged }) => number === linked && !isDamaged);

/**
 * Sets the damaged ones aside and makes the good one current; one of a newer version stays current. Needs the lock:
 * false when another process holds it or the disk is read-only; what was found stays right even then.
 */
export function repair(stateDirectory: string, { linked, good, unusable }: Found, log: Log): boolean {
  try {
    using _lock = holdsLock(stateDirectory) ? undefined : lockState(stateDirectory);
    if (linkedNumber(stateDirectory) !== linked) return false;
    for (const { number } of unusable.filter((one) => one.isDamaged)) quarantine(stateDirectory, number, log);
    if (isOfNewer(unusable, linked)) return true;
    if (good) linkCurrent(stateDirectory, good.number);
    else fs.rmSync(join(stateDirectory, "current"), { force: true });
    return true;
  } catch (error) {
    log.warn("state.repair-postponed", { error: error instanceof Error ? error.message : String(error) });
    return false;
  }
}

function quarantine(stateDirectory: string, number: number, log: Log): void {
  const path = setAside(stateDirectory, directoryOf(stateDirectory, number));
  if (path !== undefined) log.warn("state.quarantined", { generation: number, path });
}
