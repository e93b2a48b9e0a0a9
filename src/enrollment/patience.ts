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

/**
 * Asks again what failed in a way that passes by itself (`retry` is `soon`); Retry-After is a floor, jitter comes on
 * top. A service that never answered anything is not waited for: its address may be wrong.
 */
export function patient<Question, Answer>(
  ask: (question: Question) => Promise<Answer>,
  { clock, signal, random, onWait }: Patience,
): (question: Question) => Promise<Answer> {
  let answered = false;
  return async (question) => {
    for (let failures = 1; ; failures++) {
      try {
        const answer = await ask(question);
        answered = true;
        return answer;
      } catch (error) {
        signal.throwIfAborted();
        if (!(error instanceof MooringError)) throw error;
        answered ||= error.details.status !== undefined;
        if (error.retry !== "soon" || !answered || failures === mostFailures) throw error;
        const ceiling = Math.min(longestWaitMs, firstWaitMs * 2 ** (failures - 1));
        const waitMs = (error.details.retryAfterMs ?? 0) + random() * ceiling;
        onWait?.(waitMs, error);
        await clock.sleep(waitMs, { signal });
      }
    }
  };
}
