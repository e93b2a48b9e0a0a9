// A server on its port: opens it, says which one it got, and closes it for good. Whoever is in the middle of an
// answer may finish it; nobody can hold the service up.

import { once } from "node:events";
import type { Server as HttpsServer } from "node:https";
import type { AddressInfo, Server, Socket } from "node:net";
import { MooringError, systemCode } from "../errors.ts";
import type { Log } from "../system/log.ts";

export interface Listener {
  readonly port: number;
  close(): Promise<void>;
}

const finishWithinMs = 1000;

export interface ListenOptions {
  readonly host: string;
  /** 0 takes any free one. */
  readonly port: number;
  readonly purpose: "HTTPS" | "MQTT";
  /** Who comes when there are as many is hung up on. */
  readonly mostConnections?: number;
  readonly log: Log;
}

/** Throws ERR_SERVICE_START naming the port. */
export async function listen(server: Server | HttpsServer, options: ListenOptions): Promise<Listener> {
  const { host, port, purpose, mostConnections = 10_000, log } = options;
  server.maxConnections = mostConnections;
  let isFull = false;
  server.on("drop", () => {
    if (!isFull) log.warn("service.full", { purpose, mostConnections });
    isFull = true; // once until somebody fits in again
  });
  const sockets = new Set<Socket>();
  server.on("connection", (socket: Socket) => {
    isFull = false;
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
  });
  server.listen({ host, port, backlog: 1024 });
  try {
    await once(server, "listening");
  } catch (error) {
    throw new MooringError("ERR_SERVICE_START", `cannot listen on ${host} port ${port} for ${purpose}`, {
      cause: error,
      ...hintFor(systemCode(error), purpose),
    });
  }
  return {
    port: (server.address() as AddressInfo).port,
    close: async () => {
      const closed = once(server, "close");
      server.close();
      const impatience = setTimeout(() => {
        for (const socket of sockets) socket.destroy();
      }, finishWithinMs);
      await closed;
      clearTimeout(impatience);
    },
  };
}

function hintFor(code: string | undefined, purpose: string): { hint?: string } {
  const option = purpose === "HTTPS" ? "--https-port" : "--mqtt-port";
  if (code === "EADDRINUSE")
    return { hint: `stop whoever has the port, or choose another with ${option} (0 takes any)` };
  if (code === "EACCES")
    return { hint: `ports below 1024 need root or CAP_NET_BIND_SERVICE; or choose another with ${option}` };
  if (code === "EADDRNOTAVAIL" || code === "ENOTFOUND")
    return { hint: "give --host an address of this machine" };
  return {};
}
