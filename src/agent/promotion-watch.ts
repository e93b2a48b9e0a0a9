// Notices that another assignment has become the current one: a command that began before the daemon did, or an operator,
// may have made it so.

import { join } from "node:path";
import { linkedNumber } from "../assignment/layout.ts";
import type { Log } from "../system/log.ts";
import { type Checked, watchPlaces } from "./place-watch.ts";

/** Calls `onPromotion` whenever `current` names another generation, until disposed of. */
export function watchPromotions(
  stateDirectory: string,
  onPromotion: () => void,
  { log }: { log: Log },
): Checked {
  let before = numberIn(stateDirectory);
  const check = (): void => {
    const now = numberIn(stateDirectory);
    if (now === before) return;
    before = now;
    onPromotion();
  };
  const places = watchPlaces([join(stateDirectory, "current")], check, { log });
  return { check, [Symbol.dispose]: () => places[Symbol.dispose]() };
}

/** A state that cannot be read just now is others' business. */
function numberIn(stateDirectory: string): number | undefined {
  try {
    return linkedNumber(stateDirectory);
  } catch {
    return undefined;
  }
}
