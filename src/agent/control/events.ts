// What the daemon logs while a client waits is that client's progress: a log that others may listen to.

import type { Log } from "../../system/log.ts";
import type { Progress } from "./wire.ts";

export interface Events {
  /** Calls `listener` with every event from now on; the answer ends that. */
  subscribe(listener: (progress: Progress) => void): () => void;
}

/** `log`, and whoever listens to it. Listeners hear of every level, whatever `log` leaves out. */
export function overheard(log: Log): { readonly log: Log; readonly events: Events } {
  const listeners = new Set<(progress: Progress) => void>();
  const at =
    (level: keyof Log) =>
    (event: string, fields = {}): void => {
      log[level](event, fields);
      for (const listener of listeners) listener({ level, event, fields });
    };
  return {
    log: { debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error") },
    events: {
      subscribe: (listener) => {
        listeners.add(listener);
        return () => void listeners.delete(listener);
      },
    },
  };
}
