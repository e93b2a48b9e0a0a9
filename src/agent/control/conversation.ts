// One client, from greeting to last line. It may be slow, rude or gone: then its wait ends, and nothing else does.

import type { Socket } from "node:net";
import { asMooringError, errorJson } from "../../errors.ts";
import type { Clock } from "../../system/clock.ts";
import type { Controlled } from "./server.ts";
import { type Accepted, encodeLine, type Greeting, type Line, lineCutter, type Request } from "./wire.ts";

export interface Manners {
  readonly greeting: Greeting;
  /** Reads a request; throws for what it does not understand, and for what this client may not ask for. */
  readonly admit: (line: string) => Request;
  /** Longest request. */
  readonly requestBytes: number;
  /** A client that leaves more than this unread is dropped. */
  readonly unreadBytes: number;
  /** For the whole request, and for reading the last line. */
  readonly patienceMs: number;
  readonly clock: Clock;
  /** Ends all waiting: the client is gone, or the daemon stops. */
  readonly signal: AbortSignal;
}

/** Answers one request; the connection ends with it. Never rejects. */
export async function converse(socket: Socket, controlled: Controlled, manners: Manners): Promise<void> {
  const send = (line: Greeting | Line): void => {
    if (!socket.writable) return;
    socket.write(encodeLine(line));
    if (socket.writableLength > manners.unreadBytes) socket.destroy();
  };

  let unsubscribe = (): void => {};
  try {
    send(manners.greeting);
    const request = manners.admit(await firstLine(socket, manners));
    if (isPatient(request)) {
      dropAtEnd(socket);
      unsubscribe = controlled.events.subscribe((event) => send({ event }));
    }
    send({ done: await answer(request, controlled, manners.signal) });
  } catch (error) {
    send({ error: errorJson(asMooringError(error)) });
  } finally {
    unsubscribe();
  }
  socket.end();
  dropAfterPatience(socket, manners);
}

/** Its answer may take as long as provisioning does. */
const isPatient = (request: Request): boolean => ("wait" in request ? request.wait : request.do !== "status");

/** Whoever has ended its half of the connection cannot be told from one that was killed. */
function dropAtEnd(socket: Socket): void {
  if (socket.readableEnded) socket.destroy();
  else socket.once("end", () => socket.destroy());
}

function answer(request: Request, controlled: Controlled, signal: AbortSignal): Promise<unknown> | Accepted {
  switch (request.do) {
    case "status":
      return controlled.status();
    case "wait":
      return controlled.usable({ signal });
    case "rollback":
      return untilAborted(controlled.rollBack(), signal);
    case "provision":
    case "reprovision": {
      const attempt = request.do === "provision" ? controlled.provision() : controlled.reprovision();
      if (request.wait) return untilAborted(attempt, signal);
      // How it ends is in the log and in the status.
      attempt.catch(() => {});
      return { accepted: true };
    }
  }
}

/** The wait ends with the signal, whatever becomes of what is waited for. */
function untilAborted<Value>(pending: Promise<Value>, signal: AbortSignal): Promise<Value> {
  return new Promise((resolve, reject) => {
    const stop = (): void => reject(signal.reason);
    if (signal.aborted) stop();
    signal.addEventListener("abort", stop, { once: true });
    pending.then(resolve, reject);
  });
}

/** The request; whoever takes too long over it, or says more than that, is dropped. */
function firstLine(socket: Socket, manners: Manners): Promise<string> {
  const { signal, requestBytes } = manners;
  return new Promise((resolve, reject) => {
    const keep = dropAfterPatience(socket, manners);
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
    const cut = lineCutter(requestBytes);
    let isAsked = false;
    socket.once("end", () => isAsked || socket.destroy());
    socket.on("data", (piece: Buffer) => {
      const lines = cut(piece);
      const [line] = lines ?? [];
      if (!lines || lines.length > (isAsked ? 0 : 1)) socket.destroy();
      else if (line !== undefined) {
        isAsked = true;
        keep();
        resolve(line);
      }
    });
  });
}

/** The answer keeps the connection after all. */
function dropAfterPatience(socket: Socket, { clock, patienceMs }: Manners): () => void {
  const kept = new AbortController();
  const keep = (): void => kept.abort("kept");
  socket.once("close", keep);
  clock.sleep(patienceMs, kept).then(
    () => socket.destroy(),
    () => {},
  );
  return keep;
}
