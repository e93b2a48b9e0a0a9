// A clock whose sleeps end at once and are remembered: tests of waiting neither wait nor guess. Its wall time can be
// set, as NTP does it, which the monotonic time does not notice.

import type { Clock } from "../../src/system/clock.ts";

export interface VirtualClock extends Clock {
  readonly sleptMs: number[];
  /** Moves the wall clock by `ms`. */
  step(ms: number): void;
}

export function virtualClock(startAt = Date.UTC(2026, 0, 1)): VirtualClock {
  const sleptMs: number[] = [];
  let elapsed = 0;
  let stepped = 0;
  return {
    sleptMs,
    step: (ms) => {
      stepped += ms;
    },
    now: () => startAt + stepped + elapsed,
    monotonic: () => elapsed,
    sleep: async (ms, { signal }) => {
      signal.throwIfAborted();
      sleptMs.push(ms);
      elapsed += ms;
    },
  };
}
