// A clock that cannot be right is waited for before anybody is asked, once and not for ever: one wait, in however many
// rests.

import type { Tools } from "./connect.ts";
import type { Setting } from "./setting.ts";
import { createStretch } from "./stretch.ts";
import { openTrustedTime } from "./time.ts";

export interface ClockWait {
  /** It took as long as `clock_wait` says, in vain: the next attempt does not look at the clock. */
  readonly isGivenUp: boolean;
  /** Waits on until disposed of. Calls `onOver` when the clock is right, or the wait is given up. */
  goOn(setting: Pick<Setting, "config" | "attempts">, onOver: () => void): Disposable;
  /** Nothing waits for the clock now; when something does again, that is another wait. */
  pass(): void;
  /** An attempt begins: the one after it may wait again. */
  forget(): void;
}

export function createClockWait(tools: Pick<Tools, "clock" | "log">): ClockWait {
  const stretch = createStretch(tools.clock);
  let isGivenUp = false;
  return {
    get isGivenUp() {
      return isGivenUp;
    },
    goOn: ({ config, attempts }, onOver) => {
      const over = new AbortController();
      const waitMs = stretch.leftOf(config.daemon.clockWaitMs);
      openTrustedTime(config, attempts, tools)
        .awaitPlausible({ waitMs, signal: over.signal })
        .then((outcome) => {
          isGivenUp = outcome === "gave-up";
          onOver();
        })
        .catch(() => {});
      return { [Symbol.dispose]: () => over.abort() };
    },
    pass: stretch.end,
    forget: () => {
      isGivenUp = false;
    },
  };
}
