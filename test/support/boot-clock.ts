// A machine whose wall clock, running time and boots a test sets at will.

import type { Clock } from "../../src/system/clock.ts";
import type { BootClock } from "../../src/system/moment.ts";

interface Machine {
  readonly clock: Pick<Clock, "now">;
  readonly boot: BootClock;
  /** Time passes: both clocks go on. */
  pass(ms: number): void;
  /** The wall clock is set. */
  setClock(at: number): void;
  /** A new boot; without a battery the wall clock starts where it is told. */
  reboot(wallClock?: number): void;
}

export function aMachine(startAt = Date.UTC(2026, 0, 1)): Machine {
  let wallClock = startAt;
  let uptimeMs = 0;
  let boots = 1;
  return {
    clock: { now: () => wallClock },
    boot: {
      get bootId() {
        return `boot-${boots}`;
      },
      uptimeMs: () => uptimeMs,
    },
    pass: (ms) => {
      wallClock += ms;
      uptimeMs += ms;
    },
    setClock: (at) => {
      wallClock = at;
    },
    reboot: (at = wallClock) => {
      wallClock = at;
      uptimeMs = 0;
      boots += 1;
    },
  };
}
