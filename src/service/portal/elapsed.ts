// How long ago something was, for what must not live longer than it was given.

import type { Clock } from "../../system/clock.ts";

export interface Moment {
  readonly wall: number;
  readonly monotonic: number;
}

export const momentOf = (clock: Clock): Moment => ({ wall: clock.now(), monotonic: clock.monotonic() });

/** In ms. One clock stands still while a laptop sleeps, and the other can be set back: the one that says more counts. */
export const elapsedSince = (then: Moment, clock: Clock): number =>
  Math.max(clock.now() - then.wall, clock.monotonic() - then.monotonic);
