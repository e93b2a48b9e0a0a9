// For what becomes true in a while: a machine that is busy with other tests takes its time.

import { vi } from "vitest";

/** Resolves once `assertion` no longer throws; with what it throws in the end, otherwise. */
export const eventually = <Result>(assertion: () => Result): Promise<Result> =>
  vi.waitFor(assertion, { timeout: 15_000, interval: 10 });
