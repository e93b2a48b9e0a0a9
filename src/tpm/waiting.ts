// How a call to the TPM ends when it is asked to: its context is cancelled, which the native library obeys within a
// second, whatever the TPM does.

import type { Argument, Context, TpmLibrary, Verb } from "./library.ts";

export interface Waiting {
  /** Ends what is under way within a second, whatever the TPM does; then its reason is thrown. */
  readonly signal?: AbortSignal | undefined;
}

/** Runs a verb until it is done or the signal aborts, whose reason is thrown unless the verb succeeded all the same. */
export async function cancellable(
  library: TpmLibrary,
  context: Context,
  verb: Verb,
  args: readonly Argument[],
  signal: AbortSignal | undefined,
): Promise<number> {
  signal?.throwIfAborted();
  const cancel = (): void => library.cancel(context);
  signal?.addEventListener("abort", cancel, { once: true });
  try {
    const rc = await library.call(verb, context, ...args);
    if (rc !== 0) signal?.throwIfAborted();
    return rc;
  } finally {
    signal?.removeEventListener("abort", cancel);
    if (signal?.aborted) library.resume(context);
  }
}

// With the second that the last command may take, this stays below the two seconds in which SIGTERM has to be obeyed.
const transactionGraceMs = 500;

/** Aborts a moment after the signal, and at once where that has happened already. */
export function delayed(signal: AbortSignal | undefined): AbortSignal | undefined {
  if (!signal || signal.aborted) return signal;
  const controller = new AbortController();
  const abort = (): void => controller.abort(signal.reason);
  signal.addEventListener("abort", () => setTimeout(abort, transactionGraceMs).unref(), { once: true });
  return controller.signal;
}
