// Where a command's events go: steps with their time on a terminal, only warnings elsewhere, and one JSON object a
// line under systemd, whose journal wants priorities.

import { isJournalStream } from "../system/journal-stream.ts";
import type { Fields, Log } from "../system/log.ts";
import { paint } from "./output.ts";

type Level = keyof Log;

const order: readonly Level[] = ["debug", "info", "warn", "error"];

export function commandLog({ verbose }: { verbose: boolean }): Log {
  // By its number: to look at `process.stderr` is to set up a stream that may never be written to.
  if (isJournalStream(2) || process.env["MOORING_LOG"] === "json")
    return journalLog(verbose ? "debug" : "info");
  return linesLog(verbose || process.stderr.isTTY ? "debug" : "warn");
}

/** What the well-known events mean to somebody who watches. Others show their own name. */
const sentences: Record<string, (f: Fields) => string> = {
  "provisioning.started": (f) => `provisioning, because ${f["because"]}`,
  "clock.implausible": (f) => `${f["because"]}: waiting ${seconds(f["retryInMs"])} for it to be set`,
  "clock.still-implausible": (f) => `${f["because"]}: trying all the same`,
  "clock.plausible": () => "the clock can be believed now",
  "identity.opened": (f) => `identity read from ${f["source"]}: ${f["registrationId"]}`,
  "tpm.key-created": (f) => `created the ${f["key"]} in the TPM at ${f["handle"]}`,
  "transport.chosen": (f) => `going over ${f["transport"]}: ${f["because"]}`,
  "transport.fallback": (f) => `${f["transport"]} failed (${f["code"]}), trying ${f["next"]}`,
  "registration.started": (f) => `asking ${f["idScope"]} to register ${f["registrationId"]}`,
  "registration.challenged": () => "the service challenges the TPM",
  "registration.activated": () => "the TPM answers: only it can use the key that came",
  "registration.assigning": (f) => `the service is assigning; asking again in ${seconds(f["retryInMs"])}`,
  "registration.retrying": (f) => `${f["code"]}; trying again in ${seconds(f["retryInMs"])}`,
  "assignment.promoted": (f) => `assigned: ${f["deviceId"]} at ${f["assignedHub"]}`,
  "assignment.kept": (f) => `keeping the assignment: ${f["deviceId"]} at ${f["assignedHub"]}`,
  "tpm.hub-key-persisted": (f) => `the hub key is in the TPM at ${f["handle"]}`,
  "wait.started": () => "waiting for an identity to use",
  "output.written": (f) => `published ${f["path"]}`,
};

const seconds = (ms: unknown): string => `${(Number(ms) / 1000).toFixed(1)} s`;

function linesLog(lowest: Level): Log {
  const at =
    (level: Level) =>
    (event: string, fields: Fields = {}) => {
      if (order.indexOf(level) < order.indexOf(lowest)) return;
      const time = paint("dim", `${process.uptime().toFixed(2).padStart(6)} s`, process.stderr);
      const text = sentences[event]?.(fields) ?? `${event} ${plain(fields)}`;
      const shown =
        level === "warn"
          ? paint("yellow", text, process.stderr)
          : level === "error"
            ? paint("red", text, process.stderr)
            : text;
      write(`${time}  ${shown}\n`);
    };
  return { debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error") };
}

/** Whoever reads the events may go, as `head` does: that is no end of what is under way. */
function write(text: string): void {
  if (process.stderr.listenerCount("error") === 0) process.stderr.on("error", () => {});
  process.stderr.write(text);
}

const plain = (fields: Fields): string =>
  Object.entries(fields)
    .map(([name, value]) => `${name}=${typeof value === "string" ? value : JSON.stringify(value)}`)
    .join(" ");

let journaled: Promise<unknown> = Promise.resolve();

/** Resolves when every event so far is written. */
export const logWritten = (): Promise<unknown> => journaled;

/** pino costs more to load than a kept assignment to check, so it comes with the first event, which waits for it. */
function journalLog(lowest: Level): Log {
  let ready: Promise<Log> | undefined;
  const at = (level: Level) => (event: string, fields?: Fields) => {
    if (order.indexOf(level) < order.indexOf(lowest)) return;
    ready ??= import("./journal.ts").then(({ openJournal }) => openJournal(lowest, write));
    journaled = ready.then((log) => log[level](event, fields));
  };
  return { debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error") };
}
