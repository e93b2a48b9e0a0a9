// How often somebody may be wrong about a key: ten times, and then once every six seconds.

import type { Clock } from "../../system/clock.ts";

export interface FailedAttempts {
  /** Seconds until `who` may try again; 0 when now. */
  waitFor(who: string): number;
  note(who: string): void;
  /** After a success. */
  forget(who: string): void;
}

const forgivenAfterMs = 6_000;
const most = 10;

/** Addresses that are remembered; beyond it the one that failed longest ago goes. */
const mostAddresses = 10_000;

export function createFailedAttempts(clock: Clock): FailedAttempts {
  /** When everything will be forgiven, by address (a leaky bucket); in order of the last failure. */
  const forgivenAt = new Map<string, number>();
  const debtOf = (who: string): number => Math.max(0, (forgivenAt.get(who) ?? 0) - clock.monotonic());
  return {
    waitFor: (who) => Math.max(0, Math.ceil((debtOf(who) - (most - 1) * forgivenAfterMs) / 1000)),
    note(who) {
      const debt = debtOf(who);
      forgivenAt.delete(who);
      for (const [oldest] of forgivenAt) {
        if (forgivenAt.size < mostAddresses) break;
        forgivenAt.delete(oldest);
      }
      forgivenAt.set(who, clock.monotonic() + debt + forgivenAfterMs);
    },
    forget: (who) => void forgivenAt.delete(who),
  };
}
