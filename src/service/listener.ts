// A server on its port: opens it, says which one it got, and closes it for good. Whoever is in the middle of an
// answer may finish it; nobody can hold the service up.

import { once } from "node:events";
import type { Server as HttpsServer } from "node:https";
import type { AddressInfo, Server, Socket } from "node:net";
import { MooringError, systemCode } from "../errors.ts";

export interface Listener {
  readonly port: number;
  close(): Promise<void>;
}

const finishWithinMs = 1000;

/** Listens on `host:port`; port 0 takes any free one. Throws ERR_SERVICE_START naming the port. */
export async function listen(
  server: Server | HttpsServer,
  { host, port, purpose }: { host: string; port: number; purpose: string },
): Promise<Listener> {
  const sockets = new Set<Socket>();
  server.on("connection", (socket: Socket) => {
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
