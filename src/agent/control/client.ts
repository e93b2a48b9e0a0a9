// The other side of the control socket: asks the daemon for one thing, hears how it goes, and takes its answer.

import { realpathSync } from "node:fs";
import { connect } from "node:net";
import { MooringError, systemCode } from "../../errors.ts";
import type { Clock } from "../../system/clock.ts";
import {
  type Answers,
  decodeError,
  decodeLine,
  decodeProvisioned,
  encodeLine,
  type Progress,
  protocol,
  type Request,
  readLines,
} from "./wire.ts";

export interface Asking {
  /** The daemon of another state directory is none. */
  readonly stateDirectory: string;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly onEvent?: (progress: Progress) => void;
}

/** For a greeting: a daemon that its socket has to start first takes its time. */
const patienceMs = 30_000;
const longestLine = 8 << 20;

/**
 * The daemon's answer; "no daemon" when none is listening. Throws what the daemon answers with instead, and
 * ERR_DAEMON_LOST, ERR_CONTROL_PERMISSION, ERR_CONTROL_BUSY, ERR_CONTROL_PROTOCOL.
 */
export function askDaemon<Asked extends Request>(
  path: string,
  request: Asked,
  { stateDirectory, clock, signal, onEvent = () => {} }: Asking,
): Promise<Answers[Asked["do"]] | "no daemon"> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason);
    const socket = connect(path);
    const over = new AbortController();
    let daemon: string | undefined;

    const end = (settle: () => void): void => {
      if (over.signal.aborted) return;
      over.abort();
      signal.removeEventListener("abort", stop);
      socket.destroy();
      settle();
    };
    const fail = (error: unknown): void => end(() => reject(error));
    const stop = (): void => fail(signal.reason);
    signal.addEventListener("abort", stop);
    clock.sleep(patienceMs, { signal: over.signal }).then(
      () => daemon ?? fail(lost(path, `the daemon does not answer on ${path}`)),
      () => {},
    );

    const greeted = (line: Readonly<Record<string, unknown>>, text: string): void => {
      if (line["mooring"] !== protocol) fail(notUnderstood(path, text));
      else if (!samePlace(stateDirectory, line["stateDirectory"])) end(() => resolve("no daemon"));
      else {
        daemon = `the daemon, process ${line["pid"]},`;
        socket.write(encodeLine(request));
      }
    };
    const take = (text: string): void => {
      const line = decodeLine(text) ?? {};
      if ("error" in line) fail(decodeError(line["error"]));
      else if (daemon === undefined) greeted(line, text);
      else if ("done" in line) end(() => resolve(answered(request, line["done"]) as Answers[Asked["do"]]));
      else if ("event" in line) onEvent(line["event"] as Progress);
      else fail(notUnderstood(path, text));
    };
    readLines(socket, longestLine, {
      take,
      tooLong: () => fail(notUnderstood(path, "a line without an end")),
    });
    socket.on("close", () => fail(lost(path, `${daemon ?? "the daemon"} ended before it had answered`)));
    socket.on("error", (error) => {
      if (daemon !== undefined) return;
      const code = systemCode(error) ?? "";
      if (noOneThere.has(code)) end(() => resolve("no daemon"));
      else if (code === "EACCES" || code === "EPERM") fail(noEntry(path, error));
      else if (code === "EAGAIN") fail(new MooringError("ERR_CONTROL_BUSY", `too many wait on ${path}`));
    });
  });
}

/** What came over the wire, with errors where errors were. */
function answered(request: Request, done: unknown): unknown {
  const changes = request.do !== "status" && request.do !== "wait";
  return changes && "outputs" in Object(done) ? decodeProvisioned(done) : done;
}

const noOneThere = new Set(["ENOENT", "ENOTDIR", "ECONNREFUSED"]);

function samePlace(mine: string, its: unknown): boolean {
  return typeof its === "string" && real(mine) === real(its);
}

function real(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
}

const lost = (path: string, words: string): MooringError =>
  new MooringError("ERR_DAEMON_LOST", words, { path });

const noEntry = (path: string, cause: Error): MooringError =>
  new MooringError("ERR_CONTROL_PERMISSION", `cannot open ${path}: ${cause.message}`, { cause, path });

const notUnderstood = (path: string, text: string): MooringError =>
  new MooringError(
    "ERR_CONTROL_PROTOCOL",
    `what answers on ${path} said ${JSON.stringify(text.slice(0, 80))}`,
    {
      path,
    },
  );
