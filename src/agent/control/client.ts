// The other side of the control socket: asks the daemon for one thing, hears how it goes, and takes its answer.

import { realpathSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { MooringError, systemCode } from "../../errors.ts";
import type { Clock } from "../../system/clock.ts";
import {
  type Answers,
  decodeError,
  decodeLine,
  decodeProvisioned,
  encodeLine,
  lineCutter,
  type Progress,
  protocol,
  type Request,
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
/** Before it is asked again who was sent home unheard: by a daemon on its way out, and by systemd once that is gone. */
const pausesMs = [0, 200, 800];
const longestLine = 8 << 20;

/**
 * The daemon's answer; "no daemon" when none is listening. Throws what the daemon answers with instead, and
 * ERR_DAEMON_LOST, ERR_CONTROL_PERMISSION, ERR_CONTROL_BUSY, ERR_CONTROL_PROTOCOL.
 */
export async function askDaemon<Asked extends Request>(
  path: string,
  request: Asked,
  asking: Asking,
): Promise<Answers[Asked["do"]] | "no daemon"> {
  // A daemon may be leaving just now; where its socket stays open, the next one answers.
  for (const pauseMs of [...pausesMs, undefined]) {
    const answer = await ask(path, request, asking);
    if (answer !== undefined) return answer as Answers[Asked["do"]] | "no daemon";
    if (pauseMs !== undefined) await asking.clock.sleep(pauseMs, asking);
  }
  throw lost(path, `the daemon on ${path} ended before it had said anything`);
}

/** Undefined when the other side was gone before it said anything. */
async function ask(path: string, request: Request, asking: Asking): Promise<unknown> {
  const { stateDirectory, signal, onEvent } = asking;
  const socket = await connected(path);
  if (!socket) return "no daemon";
  const stop = (): void => void socket.destroy(signal.reason);
  signal.addEventListener("abort", stop);
  try {
    signal.throwIfAborted();
    const lines = linesFrom(socket, path);
    const greeting = await greetingFrom(lines, socket, path, asking);
    if (!greeting) return undefined;
    if (!samePlace(stateDirectory, greeting["stateDirectory"])) return "no daemon";
    socket.write(encodeLine(request));
    for await (const line of lines) {
      if ("done" in line) return answered(request, line["done"]);
      if ("error" in line) throw decodeError(line["error"]);
      if ("event" in line) onEvent?.(line["event"] as Progress);
    }
    throw lost(path, `the daemon, process ${greeting["pid"]}, ended before it had answered`);
  } finally {
    signal.removeEventListener("abort", stop);
    socket.destroy();
  }
}

type Answer = Readonly<Record<string, unknown>>;

/** Undefined where nobody listens. */
function connected(path: string): Promise<Socket | undefined> {
  return new Promise((resolve, reject) => {
    const socket = connect(path);
    socket.once("connect", () => resolve(socket));
    // Later ones end the reading, and are told by whoever reads.
    socket.on("error", (error) => {
      if (noOneThere.has(systemCode(error) ?? "")) resolve(undefined);
      else reject(notOpened(path, error));
    });
  });
}

function notOpened(path: string, cause: Error): MooringError {
  const words = `cannot open ${path}: ${cause.message}`;
  switch (systemCode(cause)) {
    case "EACCES":
    case "EPERM":
      return new MooringError("ERR_CONTROL_PERMISSION", words, { cause, path });
    // The queue of those who want in is full.
    case "EAGAIN":
      return new MooringError("ERR_CONTROL_BUSY", words, { cause, path });
    default:
      return new MooringError("ERR_DAEMON_LOST", words, { cause, path });
  }
}

const noOneThere = new Set(["ENOENT", "ENOTDIR", "ECONNREFUSED"]);

async function greetingFrom(
  lines: AsyncGenerator<Answer>,
  socket: Socket,
  path: string,
  { clock }: Asking,
): Promise<Answer | undefined> {
  const greeted = new AbortController();
  clock.sleep(patienceMs, greeted).then(
    () => socket.destroy(lost(path, `the daemon does not answer on ${path}`)),
    () => {},
  );
  const { value, done } = await lines.next().finally(() => greeted.abort());
  if (done) return undefined;
  if ("error" in value) throw decodeError(value["error"]);
  if (value["mooring"] !== protocol) throw notUnderstood(path, JSON.stringify(value));
  return value;
}

/** Ends when the connection does, however it ends. Throws the reason that the socket was destroyed with. */
async function* linesFrom(socket: Socket, path: string): AsyncGenerator<Answer> {
  try {
    const cut = lineCutter(longestLine);
    for await (const piece of socket) {
      for (const text of cut(piece) ?? [""]) {
        const line = decodeLine(text);
        if (!line) throw notUnderstood(path, text);
        yield line;
      }
    }
  } catch (error) {
    // A reset by the other side is an end.
    if (systemCode(error) === undefined || error instanceof MooringError) throw error;
  }
}

/** What came over the wire, with errors where errors were. */
function answered(request: Request, done: unknown): unknown {
  const changes = request.do !== "status" && request.do !== "wait";
  return changes && "outputs" in Object(done) ? decodeProvisioned(done) : done;
}

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

const notUnderstood = (path: string, text: string): MooringError =>
  new MooringError(
    "ERR_CONTROL_PROTOCOL",
    `what answers on ${path} said ${JSON.stringify(text.slice(0, 80))}`,
    {
      path,
    },
  );
