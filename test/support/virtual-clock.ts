// A clock whose sleeps end at once and are remembered: tests of waiting neither wait nor guess.

import type { Clock } from "../../src/system/clock.ts";

export interface VirtualClock extends Clock {
  readonly sleptMs: number[];
}

export function virtualClock(startAt = Date.UTC(2026, 0, 1)): VirtualClock {
  const sleptMs: number[] = [];
  let elapsed = 0;
  return {
    sleptMs,
    now: () => startAt + elapsed,
    monotonic: () => elapsed,
    sleep: async (ms, { signal }) => {
      signal.throwIfAborted();
      sleptMs.push(ms);
      elapsed += ms;
    },
  };
}
