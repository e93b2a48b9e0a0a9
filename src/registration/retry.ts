// How long to wait before asking again. Pure; chance comes in as `random` (0 ≤ n < 1).

/** DPS allows a device five polls in ten seconds (IoT Hub DPS limits), so never poll faster than this. */
const minPollMs = 2_000;

/** Added to a poll's delay so that devices started together drift apart. */
const pollJitterMs = 500;

const firstBackOffMs = 2_000;
const longestBackOffMs = 60_000;

/** Delay before the next poll of an operation; the service's Retry-After is a floor. */
export const pollDelayMs = (retryAfterMs: number | undefined, random: () => number): number =>
  Math.max(minPollMs, retryAfterMs ?? 0) + random() * pollJitterMs;

/**
 * Delay before repeating what a busy service (429, 5xx) or a lost connection refused: exponential with full
 * jitter, on top of the service's Retry-After. `failures` counts from 1.
 */
export function backOffMs(failures: number, retryAfterMs: number | undefined, random: () => number): number {
  const ceiling = Math.min(longestBackOffMs, firstBackOffMs * 2 ** (failures - 1));
  return Math.max(minPollMs, retryAfterMs ?? 0) + random() * ceiling;
}
