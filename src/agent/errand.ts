// What needs a TPM, TLS or a transport is done by a process of its own: the daemon stays as small as it was, and a crash
// in a native library ends an attempt and nothing else. Both ends of the conversation are here.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import type { Config } from "../config/schema.ts";
import { asMooringError, causeText, MooringError } from "../errors.ts";
import type { Fields, Log } from "../system/log.ts";
import type { Tools } from "./connect.ts";
import { decodeError, decodeProvisioned, encodeAnswer, type Progress } from "./control/wire.ts";
import type { Reason } from "./decide.ts";
import type { Provisioned } from "./provision.ts";

/** `decidedOn` is the number of the generation that the decision was made about. */
export type Work =
  | { readonly do: "provision"; readonly reason: Reason; readonly decidedOn?: number }
  | { readonly do: "mend-hub-key" }
  | { readonly do: "roll-back" };

/** The configuration goes along, so that both processes mean the same. It passes through a pipe that nobody else reads. */
export interface Errand {
  readonly config: Config;
  readonly work: Work;
}

/** What the process on the errand tells, as one JSON text a message: errors travel as on the control socket. */
type Told = Progress | { readonly done: Provisioned | null } | { readonly failed: MooringError };

/** A process that was told to stop and does not is ended: whatever it was at, the state on disk is whole. */
const patienceMs = 1_000;

/**
 * Sends `program` (this program's own file) on an errand, and passes on what it tells. Resolves with what came of it;
 * null where there is no assignment to speak of. Rejects with its failure; ERR_INTERNAL when it died; the signal's
 * reason when it was stopped.
 */
export async function sendOnErrand(
  errand: Errand,
  { program, log, signal }: { program: string; log: Log; signal: AbortSignal },
): Promise<Provisioned | null> {
  signal.throwIfAborted();
  const child = spawn(process.execPath, [...process.execArgv, program, "errand"], {
    stdio: ["ignore", "inherit", "inherit", "ipc"],
  });
  const ended = endOf(child);
  const stop = (): void => void stopChild(child);
  signal.addEventListener("abort", stop, { once: true });
  try {
    let end: { done?: Provisioned | null; failed?: unknown } | undefined;
    child.on("message", (text: string) => {
      const told = JSON.parse(text);
      if ("event" in told) log[told.level as Progress["level"]](told.event, told.fields);
      else end = told;
    });
    child.send(errand);
    const how = await ended;
    signal.throwIfAborted();
    if (end?.failed) throw decodeError(end.failed);
    if (end?.done !== undefined) return end.done && decodeProvisioned(end.done);
    throw new MooringError("ERR_INTERNAL", `the process that did the work ended with ${how}`);
  } finally {
    signal.removeEventListener("abort", stop);
  }
}

/**
 * How it ended, once all that it told has come through. Rejects when it could not be started at all. That the pipe to it
 * breaks is a sign of its end, and must not be that of this process.
 */
function endOf(child: ChildProcess): Promise<NodeJS.Signals | number | null> {
  return new Promise((resolve, reject) => {
    child.once("close", (code, by) => resolve(by ?? code));
    child.on("error", (cause) => child.pid === undefined && reject(unstarted(cause)));
  });
}

const unstarted = (cause: Error): MooringError =>
  new MooringError("ERR_INTERNAL", "cannot start a process for the work", {
    cause,
    hint: "is Node.js still where the daemon was started with? After an upgrade: `systemctl restart mooring`",
  });

function stopChild(child: ChildProcess): void {
  child.kill("SIGTERM");
  setTimeout(() => child.kill("SIGKILL"), patienceMs).unref();
}

/** The other end: does the errand that the parent process sends. Stops when the parent is gone. */
export async function goOnErrand(
  act: (errand: Errand, tools: Tools) => Promise<Provisioned | null>,
  { clock, signal }: Omit<Tools, "log">,
): Promise<void> {
  if (!process.send) throw new MooringError("ERR_USAGE", "`mooring run` sends this command on its errands");
  // Said to the whole group, it is meant for the daemon.
  process.on("SIGHUP", () => {});
  const gone = new AbortController();
  process.once("disconnect", () =>
    gone.abort(new MooringError("ERR_CANCELLED", "the process that asked for it is gone")),
  );
  const stopped = AbortSignal.any([signal, gone.signal]);
  const errand = await firstMessage(stopped);
  const tell = (told: Told): Promise<void> =>
    new Promise((resolve) => process.send?.(encodeAnswer(told), undefined, {}, () => resolve()));
  const log = eventsTo((told) => void tell(told));
  try {
    const tools = { clock, log, signal: stopped };
    const done = await act(errand, { ...tools, isPaced: isPaced(errand.work) });
    await tell({ done });
  } catch (error) {
    await tell({ failed: asMooringError(error) });
  }
}

async function firstMessage(signal: AbortSignal): Promise<Errand> {
  try {
    const [errand] = await once(process, "message", { signal });
    return errand;
  } catch (error) {
    signal.throwIfAborted();
    throw error;
  }
}

/** What the daemon does of its own accord it also repeats; a person's wish is tried as hard as one attempt can. */
const isPaced = (work: Work): boolean => work.do === "provision" && work.reason.trigger !== "operator";

function eventsTo(tell: (told: Progress) => void): Log {
  const at =
    (level: keyof Log) =>
    (event: string, fields: Fields = {}): void =>
      tell({ event, level, fields: printable(fields) });
  return { debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error") };
}

/** JSON knows no errors. */
const printable = (fields: Fields): Fields =>
  Object.fromEntries(
    Object.entries(fields).map(([name, value]) => [name, value instanceof Error ? causeText(value) : value]),
  );
