// Waiting for an identity to use: the daemon is looked at whenever something about it changes.

import type { EventEmitter } from "node:events";
import type { Status } from "./status.ts";

/** Resolves with the first status in which there is one. `changes` emits `change`. Rejects with the signal's reason. */
export async function untilUsable(
  status: () => Promise<Status>,
  changes: EventEmitter,
  { signal }: { signal: AbortSignal },
): Promise<Status> {
  // Whoever waits may do so for weeks, and through thousands of changes: one listener each for all of them.
  let changed = Promise.withResolvers<void>();
  const wake = (): void => changed.resolve();
  changes.on("change", wake);
  signal.addEventListener("abort", wake);
  try {
    for (;;) {
      signal.throwIfAborted();
      // From before it looks: what changes meanwhile is not missed.
      changed = Promise.withResolvers<void>();
      const now = await status();
      if (now.usable.yes) return now;
      await changed.promise;
    }
  } finally {
    changes.off("change", wake);
    signal.removeEventListener("abort", wake);
  }
}
