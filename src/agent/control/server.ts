// The daemon's side of the control socket: who may come in, and how everybody is sent home.

import { createServer, type Socket } from "node:net";
import { errorJson, MooringError } from "../../errors.ts";
import type { Clock } from "../../system/clock.ts";
import type { Log } from "../../system/log.ts";
import { type SystemAddon, systemAddon } from "../../system/system-addon.ts";
import { version } from "../../system/version.ts";
import type { Provisioned } from "../provision.ts";
import type { Status } from "../status.ts";
import { converse } from "./conversation.ts";
import type { Events } from "./events.ts";
import { type Client, mayChangeThings, parseRequest, requirePermission } from "./request.ts";
import { listenAt, type SocketPlace } from "./socket-file.ts";
import { encodeLine, type Greeting, protocol, type Request } from "./wire.ts";

/** What the daemon does when it is asked. */
export interface Controlled {
  status(): Promise<Status>;
  /** Decides now, as at a start; resolves when the assignment is kept, or with the end of the attempt. */
  provision(): Promise<Provisioned>;
  /** Starts, or joins, an attempt; resolves with its end. */
  reprovision(): Promise<Provisioned>;
  rollBack(): Promise<Provisioned>;
  /** Resolves when an identity is usable. */
  usable(options: { signal: AbortSignal }): Promise<Status>;
  /** Whoever waits hears of them. */
  readonly events: Events;
}

export interface ControlServer {
  /** Clients that are connected: while there are any, the daemon is in use. */
  connections(): number;
  /** Tells everybody who waits, removes the socket, and is done within half a second. */
  close(): Promise<void>;
}

export interface ControlOptions extends SocketPlace {
  /** Asked for each greeting: another configuration may have come into force. */
  readonly stateDirectory: () => string;
  readonly log: Log;
  readonly clock: Clock;
  /** Closes the server. */
  readonly signal: AbortSignal;
  readonly limits?: Partial<typeof defaultLimits>;
  readonly addon?: (tools: { log: Log }) => Pick<SystemAddon, "peer"> | undefined;
}

const defaultLimits = {
  clients: 256,
  /** Of these, kept for those who may change things. */
  reserved: 32,
  requestBytes: 4096,
  unreadBytes: 1 << 20,
  patienceMs: 30_000,
  farewellMs: 500,
};

/** Listens until it is closed. Throws ERR_DAEMON_RUNNING, ERR_CONTROL_SOCKET. */
export async function serveControl(controlled: Controlled, options: ControlOptions): Promise<ControlServer> {
  const { log, clock, addon = systemAddon } = options;
  const limits = { ...defaultLimits, ...options.limits };
  const native = addon({ log });
  const ownUid = process.geteuid?.();
  const greeting = (): Greeting => ({
    ...{ mooring: protocol, version, pid: process.pid },
    stateDirectory: options.stateDirectory(),
  });

  const open = new Map<Socket, AbortController>();

  const admit =
    (client: Client) =>
    (line: string): Request => {
      const request = parseRequest(line);
      requirePermission(request, client, ownUid);
      if (request.do !== "status" && request.do !== "wait")
        log.info("control.asked", { request: request.do, ...(typeof client === "object" && client) });
      return request;
    };

  // Half-open, so that the answer still reaches who has said all it had to say.
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    // Its close follows, and says it all.
    socket.on("error", () => {});
    const client: Client = native ? (native.peer(descriptorOf(socket)) ?? "stranger") : "unknown";
    const room = limits.clients - (mayChangeThings(client, ownUid) ? 0 : limits.reserved);
    if (open.size >= room) {
      log.debug("control.busy", { clients: open.size });
      socket.end(encodeLine({ error: errorJson(tooMany(open.size)) }), () => socket.destroy());
      return;
    }
    const over = new AbortController();
    open.set(socket, over);
    socket.once("close", () => {
      open.delete(socket);
      over.abort(clientGone);
    });
    void converse(socket, controlled, {
      ...{ greeting: greeting(), clock, ...limits },
      admit: admit(client),
      signal: over.signal,
    });
  });
  await listenAt(server, options);
  server.on("error", (error) => log.warn("control.failed", { error: error.message }));

  const shut = async (): Promise<void> => {
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    for (const over of open.values()) over.abort(new MooringError("ERR_CANCELLED", "the daemon is stopping"));
    const farewell = new AbortController();
    await Promise.race([closed, clock.sleep(limits.farewellMs, farewell)]);
    farewell.abort();
    for (const socket of open.keys()) socket.destroy();
    await closed;
  };
  let shutting: Promise<void> | undefined;
  const close = (): Promise<void> => {
    shutting ??= shut();
    return shutting;
  };
  options.signal.addEventListener("abort", () => void close(), { once: true });
  return { connections: () => open.size, close };
}

/** Made once: a status is asked for every few seconds, for years. */
const clientGone = new MooringError("ERR_CANCELLED", "the client has gone");

/** Node.js keeps it where its own code finds it, and has no other place. */
const descriptorOf = (socket: Socket): number =>
  (socket as unknown as { _handle?: { fd?: number } })._handle?.fd ?? -1;

const tooMany = (clients: number): MooringError =>
  new MooringError("ERR_CONTROL_BUSY", `${clients} clients are connected to the daemon already`);
