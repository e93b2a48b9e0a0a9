// Long work outlives a service that is busy for a while: what was throttled, or met trouble that passes, is asked again.

import { MooringError } from "../errors.ts";
import type { Clock } from "../system/clock.ts";

export interface Patience {
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** Chance, 0 ≤ n < 1. */
  readonly random: () => number;
  /** Told before each wait. */
  readonly onWait?: ((waitMs: number, because: MooringError) => void) | undefined;
}

/** In a row; with their waits that is about ten minutes. */
const mostFailures = 15;
const firstWaitMs = 500;
const longestWaitMs = 60_000;

/** Repeats `act` while its failure passes by itself (`retry` is `soon`). Retry-After is a floor, jitter comes on top. */
export async function patiently<Result>(
  act: () => Promise<Result>,
  { clock, signal, random, onWait }: Patience,
): Promise<Result> {
  for (let failures = 1; ; failures++) {
    try {
      return await act();
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof MooringError) || error.retry !== "soon" || failures === mostFailures)
        throw error;
      const ceiling = Math.min(longestWaitMs, firstWaitMs * 2 ** (failures - 1));
      const waitMs = (error.details.retryAfterMs ?? 0) + random() * ceiling;
      onWait?.(waitMs, error);
      await clock.sleep(waitMs, { signal });
    }
  }
}
