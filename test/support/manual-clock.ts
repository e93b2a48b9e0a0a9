// A machine whose time passes only when a test says so: sleepers wake in the order of their times. Its wall clock can be
// set, which neither its monotonic time nor its running time notices.

import type { Clock } from "../../src/system/clock.ts";
import type { BootClock } from "../../src/system/moment.ts";

export interface ManualClock extends Clock {
  readonly boot: BootClock;
  /** Lets `ms` pass, and wakes who slept until then. */
  pass(ms: number): void;
  setWall(at: number): void;
  /** Times until those who sleep wake up, soonest first. */
  sleepers(): number[];
}

export function manualClock(startAt = Date.UTC(2027, 0, 1)): ManualClock {
  let elapsed = 0;
  let offset = startAt;
  const sleeping = new Set<{ readonly until: number; wake(): void }>();
  const soonest = (): { readonly until: number; wake(): void } | undefined =>
    [...sleeping].sort((a, b) => a.until - b.until)[0];
  return {
    now: () => offset + elapsed,
    monotonic: () => elapsed,
    boot: { bootId: "this-boot", uptimeMs: () => elapsed },
    setWall: (at) => {
      offset = at - elapsed;
    },
    sleepers: () => [...sleeping].map(({ until }) => until - elapsed).sort((a, b) => a - b),
    pass: (ms) => {
      const target = elapsed + ms;
      for (let next = soonest(); next && next.until <= target; next = soonest()) {
        elapsed = next.until;
        next.wake();
      }
      elapsed = target;
    },
    sleep: (ms, { signal }) =>
      new Promise((resolve, reject) => {
        signal.throwIfAborted();
        const leave = (): void => {
          sleeping.delete(sleeper);
          signal.removeEventListener("abort", onAbort);
        };
        const onAbort = (): void => {
          leave();
          reject(signal.reason);
        };
        const sleeper = {
          until: elapsed + ms,
          wake: () => {
            leave();
            resolve();
          },
        };
        sleeping.add(sleeper);
        signal.addEventListener("abort", onAbort, { once: true });
      }),
  };
}
