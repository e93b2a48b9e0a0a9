// A daemon that does as it is told, behind a real control socket; and clients with no manners.

import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import { createInterface, type Interface } from "node:readline";
import { expect, onTestFinished } from "vitest";
import { type Asking, askDaemon } from "../../src/agent/control/client.ts";
import { overheard } from "../../src/agent/control/events.ts";
import {
  type Controlled,
  type ControlOptions,
  type ControlServer,
  serveControl,
} from "../../src/agent/control/server.ts";
import type { Answers, Request } from "../../src/agent/control/wire.ts";
import type { Provisioned } from "../../src/agent/provision.ts";
import type { Status } from "../../src/agent/status.ts";
import { systemClock } from "../../src/system/clock.ts";
import { type Log, silentLog } from "../../src/system/log.ts";
import { anAssignment } from "./assignments.ts";
import { type RecordingLog, recordingLog } from "./recording-log.ts";
import { temporaryDirectory } from "./temporary-directory.ts";

export const aStatus: Status = {
  alive: { running: true, pid: 4711, activity: "resting" },
  usable: { yes: true, assignment: anAssignment(), generation: 7 },
  confirmed: { at: "2026-01-02T03:04:05.000Z", by: "service" },
  decision: { act: "keep" },
  clock: "plausible",
};

export const aProvisioned: Provisioned = { assignment: anAssignment(), trigger: "operator", outputs: [] };

export interface Stage {
  readonly path: string;
  readonly stateDirectory: string;
  readonly server: ControlServer;
  readonly log: RecordingLog;
  /** The daemon's own log: what is said here while a client waits is its progress. */
  readonly daemonLog: Log;
  readonly stop: AbortController;
  /** What the daemon was asked to do, in order. */
  readonly asked: string[];
  ask<Asked extends Request>(
    request: Asked,
    options?: Partial<Asking>,
  ): Promise<Answers[Asked["do"]] | "no daemon">;
  /** A connection past the greeting. */
  connect(): Promise<RawClient>;
}

export interface RawClient {
  readonly socket: Socket;
  readonly greeting: Record<string, unknown>;
  /** The next line; undefined at the end of the connection. */
  next(): Promise<Record<string, unknown> | undefined>;
}

/** `daemon` says what is different from one that has an assignment and answers at once. */
export async function controlStage(
  daemon: Partial<Controlled> = {},
  options: Partial<ControlOptions> = {},
): Promise<Stage> {
  const stateDirectory = temporaryDirectory();
  const path = options.path ?? join(temporaryDirectory(), "run/control.sock");
  const log = recordingLog();
  const { log: daemonLog, events } = overheard(silentLog);
  const asked: string[] = [];
  const stop = new AbortController();
  const does =
    <Result>(what: keyof Controlled, usual: Result) =>
    async (...args: unknown[]): Promise<Result> => {
      asked.push(what);
      const special = daemon[what] as ((...args: unknown[]) => Promise<Result>) | undefined;
      return special ? special(...args) : usual;
    };
  const controlled: Controlled = {
    status: does("status", aStatus),
    provision: does("provision", aProvisioned),
    reprovision: does("reprovision", aProvisioned),
    rollBack: does("rollBack", aProvisioned),
    usable: does("usable", aStatus),
    events,
  };
  const server = await serveControl(controlled, {
    ...{ path, stateDirectory: () => stateDirectory, log, clock: systemClock, signal: stop.signal },
    ...options,
  });
  onTestFinished(() => server.close());
  return {
    ...{ path, stateDirectory, server, log, daemonLog, stop, asked },
    ask: (request, how) =>
      askDaemon(path, request, {
        ...{ stateDirectory, clock: systemClock, signal: new AbortController().signal },
        ...how,
      }),
    connect: () => rawClient(path),
  };
}

export async function rawClient(path: string): Promise<RawClient> {
  const socket = connect(path);
  onTestFinished(() => void socket.destroy());
  // A reset is an end like any other here.
  socket.on("error", () => {});
  const next = lines(createInterface({ input: socket }));
  const greeting = await next();
  expect(greeting).toBeDefined();
  return { socket, greeting: greeting ?? {}, next };
}

function lines(reader: Interface): () => Promise<Record<string, unknown> | undefined> {
  const iterator = reader[Symbol.asyncIterator]();
  reader.on("error", () => {});
  return async () => {
    const { value, done } = await iterator.next();
    return done ? undefined : JSON.parse(value);
  };
}

export const closed = async (socket: Socket): Promise<void> => {
  if (!socket.closed) await once(socket, "close");
};
