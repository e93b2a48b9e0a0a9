// MQTT inside WebSockets (RFC 6455, subprotocol `mqtt`), over a TLS line that is already open.

import type { Duplex } from "node:stream";
import type { TLSSocket } from "node:tls";
import { createWebSocketStream, WebSocket } from "ws";
import { MooringError } from "../errors.ts";
import { networkError } from "../system/network-error.ts";
import type { Endpoint } from "./transport.ts";

/** As for a line: what is swallowed counts as unreachable, and leaves time for another transport. */
const upgradeTimeoutMs = 10_000;

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
    const stop = (why: unknown): void => {
      settle();
      socket.terminate();
      reject(why);
    };
    const onAbort = (): void => stop(signal.reason);
    const timer = setTimeout(() => {
      const why = `cannot ${attempted}: no answer within ${upgradeTimeoutMs / 1000} s`;
      stop(new MooringError("ERR_CONNECT", why));
    }, upgradeTimeoutMs);
    const settle = (): void => {
      clearTimeout(timer);
      signal.removeEventListener("abort", onAbort);
    };
    signal.addEventListener("abort", onAbort, { once: true });
    socket.once("open", () => {
      settle();
      const stream = createWebSocketStream(socket);
      // By itself it would only end, and whoever waits for an answer not hear of it.
      socket.once("close", () => stream.destroy());
      resolve(stream);
    });
    socket.once("unexpected-response", (_request, response) => {
      const why = `cannot ${attempted}: the server answered ${response.statusCode} instead of switching protocols`;
      line.destroy();
      settle();
      reject(new MooringError("ERR_PROTOCOL", why));
    });
    socket.on("error", (error) => {
      settle();
      reject(networkError(error, attempted));
    });
  });
}
