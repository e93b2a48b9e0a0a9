// A log that remembers what happened, for tests that ask whether somebody was told.

import type { Fields, Log } from "../../src/system/log.ts";

interface Recorded {
  readonly level: keyof Log;
  readonly event: string;
  readonly fields: Fields;
}

export interface RecordingLog extends Log {
  readonly events: Recorded[];
  /** Names of the events of a level, in order. */
  named(level: keyof Log): string[];
}

export function recordingLog(): RecordingLog {
  const events: Recorded[] = [];
  const keep =
    (level: keyof Log) =>
    (event: string, fields: Fields = {}): void =>
      void events.push({ level, event, fields });
  return {
    events,
    named: (level) => events.filter((one) => one.level === level).map(({ event }) => event),
    debug: keep("debug"),
    info: keep("info"),
    warn: keep("warn"),
    error: keep("error"),
  };
}
