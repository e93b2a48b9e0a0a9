// What interrupts the daemon's rest: requests and signals from outside, in the order in which they came. A hundred of one
// kind are one, all that came are taken together, and between them the daemon sleeps on a monotonic clock.

import type { Clock } from "../system/clock.ts";

export interface Wakes<Wake> {
  /** From anywhere, at any time. */
  post(wake: Wake): void;
  /** Whether one of this kind came and was not taken yet. */
  has(wake: Wake): boolean;
  /**
   * Those that came, each kind once; sleeps for `forMs` (for ever, without) while there are none. Empty when none came.
   * Rejects with the signal's reason.
   */
  next(options: { forMs?: number | undefined; signal: AbortSignal }): Promise<Wake[]>;
}

/** Timers cannot be longer; whoever wakes up too early looks around and sleeps again. */
const longestSleepMs = 12 * 60 * 60 * 1000;

export function createWakes<Wake>(clock: Clock): Wakes<Wake> {
  const waiting = new Set<Wake>();
  let wakeUp = new AbortController();
  return {
    post: (wake) => {
      waiting.add(wake);
      wakeUp.abort();
    },
    has: (wake) => waiting.has(wake),
    next: async ({ forMs = Number.POSITIVE_INFINITY, signal }) => {
      if (waiting.size === 0 && forMs > 0) {
        wakeUp = new AbortController();
        const either = AbortSignal.any([signal, wakeUp.signal]);
        await clock.sleep(Math.min(forMs, longestSleepMs), { signal: either }).catch(() => {});
      }
      signal.throwIfAborted();
      const taken = [...waiting];
      waiting.clear();
      return taken;
    },
  };
}
