// Events as JSON through pino, one a line, level and event in front. Under systemd with the priority in front that its
// journal reads (sd-daemon(3)), and without the time, which the journal keeps.

import { pino } from "pino";
import { isJournalStream } from "../system/journal-stream.ts";
import type { Fields, Log } from "../system/log.ts";

const priorities = { debug: 7, info: 6, warn: 4, error: 3 } as const;

/** `write` takes whole lines, or their beginnings. */
export function openJournal(level: keyof Log, write: (text: string) => void): Log {
  const underSystemd = isJournalStream(2);
  const formatters = { level: (label: string) => ({ level: label }) };
  const logger = pino({ level, base: null, timestamp: false, formatters }, { write });
  const at =
    (name: keyof Log) =>
    (event: string, fields: Fields = {}) => {
      if (!logger.isLevelEnabled(name)) return;
      if (underSystemd) write(`<${priorities[name]}>`);
      const time = underSystemd ? {} : { time: new Date().toISOString() };
      logger[name]({ event, ...fields, ...time });
    };
  return { debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error") };
}
