// One overall deadline for an attempt: a signal that everything below waits on, and the time that is left.

import { MooringError } from "../errors.ts";
import type { Clock } from "./clock.ts";

export interface Deadline {
  readonly signal: AbortSignal;
  remainingMs(): number;
}

/** Runs `attempt` under a deadline; its signal aborts with ERR_DEADLINE, or with the outer signal's reason. */
export async function withDeadline<T>(
  limitMs: number,
  { clock, signal }: { clock: Clock; signal: AbortSignal },
  attempt: (deadline: Deadline) => Promise<T>,
): Promise<T> {
  const over = new AbortController();
  const endsAt = clock.monotonic() + limitMs;
  const finished = new AbortController();
  clock
    .sleep(limitMs, { signal: AbortSignal.any([finished.signal, signal]) })
    .then(() =>
      over.abort(new MooringError("ERR_DEADLINE", `the attempt did not end within ${limitMs / 1000} s`)),
    )
    .catch(() => {});
  try {
    return await attempt({
      signal: AbortSignal.any([over.signal, signal]),
      remainingMs: () => endsAt - clock.monotonic(),
    });
  } finally {
    finished.abort();
  }
}
