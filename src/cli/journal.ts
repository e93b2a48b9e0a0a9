// Events as JSON, one a line, through pino; with the priority in front that systemd's journal reads (sd-daemon(3)).

import { pino } from "pino";
import type { Fields, Log } from "../system/log.ts";

const priorities: Record<string, number> = { debug: 7, info: 6, warn: 4, error: 3 };

export function openJournal(level: keyof Log): Log {
  const underSystemd = process.env["JOURNAL_STREAM"] !== undefined;
  const write = (line: string, priority: number | undefined): void =>
    void process.stderr.write(underSystemd ? `<${priority ?? 6}>${line}` : line);
  const logger = pino(
    { level, base: null, messageKey: "event", formatters: { level: (label) => ({ level: label }) } },
    { write: (line: string) => write(line, priorities[/"level":"(\w+)"/.exec(line)?.[1] ?? ""]) },
  );
  const at =
    (name: keyof Log) =>
    (event: string, fields: Fields = {}) =>
      logger[name](fields, event);
  return { debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error") };
}
