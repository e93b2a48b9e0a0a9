// What interrupts the daemon's rest: requests and signals from outside, in the order in which they came. Each is taken
// once; between them the daemon sleeps on a monotonic clock.

import type { Clock } from "../system/clock.ts";

export interface Wakes<Wake> {
  /** From anywhere, at any time. */
  post(wake: Wake): void;
  /** The next one, or undefined when none came for `forMs` (for ever, without). Rejects with the signal's reason. */
  next(options: { forMs?: number | undefined; signal: AbortSignal }): Promise<Wake | undefined>;
}

/** Timers cannot be longer; whoever wakes up too early looks around and sleeps again. */
const longestSleepMs = 12 * 60 * 60 * 1000;

export function createWakes<Wake>(clock: Clock): Wakes<Wake> {
  const waiting: Wake[] = [];
  let wakeUp = new AbortController();
  return {
    post: (wake) => {
      waiting.push(wake);
      wakeUp.abort();
    },
    next: async ({ forMs = Number.POSITIVE_INFINITY, signal }) => {
      if (waiting.length === 0) {
        wakeUp = new AbortController();
        const either = AbortSignal.any([signal, wakeUp.signal]);
        await clock.sleep(Math.min(forMs, longestSleepMs), { signal: either }).catch(() => {});
      }
      signal.throwIfAborted();
      return waiting.shift();
    },
  };
}
