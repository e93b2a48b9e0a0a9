// Time that goes on however often the rest is broken: rests end for many reasons, and what is measured over several of
// them must not begin anew with each.

import type { Clock } from "../system/clock.ts";

export interface Stretch {
  /** What is left of `ms`, counted from the first time that this was asked; never below zero. */
  leftOf(ms: number): number;
  /** The next one begins when it is asked for. */
  end(): void;
}

export function createStretch(clock: Pick<Clock, "monotonic">): Stretch {
  let from: number | undefined;
  return {
    leftOf: (ms) => {
      const now = clock.monotonic();
      from ??= now;
      return Math.max(0, ms - (now - from));
    },
    end: () => {
      from = undefined;
    },
  };
}
