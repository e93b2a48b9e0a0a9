// Time as a port: deadlines, sleeps and timestamps come from a Clock that is passed in, so that tests run in
// virtual time and a jump of the wall clock never changes a delay.

export interface Clock {
  /** Wall clock, milliseconds since 1970. For timestamps and token expiries only. */
  now(): number;
  /** Milliseconds that never go backwards. For every duration. */
  monotonic(): number;
  /** Resolves after `ms`; rejects with the signal's reason as soon as it aborts. */
  sleep(ms: number, options: { signal: AbortSignal }): Promise<void>;
}

export const systemClock: Clock = {
  now: () => Date.now(),
  // The global `performance` would load all of node:perf_hooks, a mebibyte, to say the same.
  monotonic: () => Number(process.hrtime.bigint()) / 1e6,
  sleep: (ms, { signal }) =>
    new Promise((resolve, reject) => {
      signal.throwIfAborted();
      const onAbort = (): void => {
        clearTimeout(timer);
        reject(signal.reason);
      };
      const timer = setTimeout(() => {
        signal.removeEventListener("abort", onAbort);
        resolve();
      }, ms);
      signal.addEventListener("abort", onAbort, { once: true });
    }),
};
