// MQTT inside WebSockets (RFC 6455, subprotocol `mqtt`), over a TLS line that is already open.

import type { Duplex } from "node:stream";
import type { TLSSocket } from "node:tls";
import { createWebSocketStream, WebSocket } from "ws";
import { MooringError } from "../errors.ts";
import { networkError } from "../system/network-error.ts";
import type { Endpoint } from "./transport.ts";

/** The path that Azure's clients use. */
const path = "/$iothub/websocket";

export function openWebSocket(
  line: TLSSocket,
  { host, port }: Endpoint,
  { signal }: { signal: AbortSignal },
): Promise<Duplex> {
  return new Promise((resolve, reject) => {
    const attempted = `open a WebSocket to ${host}:${port}`;
    const socket = new WebSocket(`wss://${host}:${port}${path}`, "mqtt", {
      createConnection: () => line,
      perMessageDeflate: false,
      maxPayload: 256 * 1024,
    });
    const onAbort = (): void => {
      socket.terminate();
      reject(signal.reason);
    };
    signal.addEventListener("abort", onAbort, { once: true });
    socket.once("open", () => {
      signal.removeEventListener("abort", onAbort);
      resolve(createWebSocketStream(socket));
    });
    socket.once("unexpected-response", (_request, response) => {
      line.destroy();
      reject(
        new MooringError(
          "ERR_PROTOCOL",
          `cannot ${attempted}: the server answered ${response.statusCode} instead of switching protocols`,
        ),
      );
    });
    socket.once("error", (error) => reject(networkError(error, attempted)));
  });
}
