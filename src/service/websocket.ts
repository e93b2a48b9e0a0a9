// MQTT over WebSockets, on the HTTPS server's own port, for devices whose network lets nothing else out. Clients
// disagree about the path and about the case of the subprotocol; every path will do, and theirs is echoed.

import type { IncomingMessage } from "node:http";
import type { Server } from "node:https";
import type { TLSSocket } from "node:tls";
import { createWebSocketStream, WebSocketServer } from "ws";
import type { MqttSessions } from "./mqtt-server.ts";
import { clientCertificates } from "./tls.ts";

const mqttProtocol = (offered: Iterable<string>): string | undefined =>
  [...offered].find((protocol) => protocol.toLowerCase() === "mqtt");

/** Takes every upgrade that `server` is asked for. */
export function acceptMqttOverWebSockets(server: Server, sessions: MqttSessions): void {
  const sockets = new WebSocketServer({
    noServer: true,
    maxPayload: 256 * 1024,
    perMessageDeflate: false,
    handleProtocols: (offered) => mqttProtocol(offered) ?? false,
    verifyClient: ({ req }: { req: IncomingMessage }, decide) =>
      decide(offersMqtt(req), 400, "Offer the subprotocol mqtt"),
  });
  server.on("upgrade", (request: IncomingMessage, socket: TLSSocket, head: Buffer) => {
    const certificates = clientCertificates(socket);
    sockets.handleUpgrade(request, socket, head, (webSocket) => {
      webSocket.on("message", (_data, isBinary) => {
        if (!isBinary) webSocket.close(1003, "MQTT travels in binary frames");
      });
      void sessions.serve({ stream: createWebSocketStream(webSocket), transport: "mqtt-ws", certificates });
    });
  });
}

function offersMqtt(request: IncomingMessage): boolean {
  const offered = request.headers["sec-websocket-protocol"]?.split(",").map((protocol) => protocol.trim());
  return offered !== undefined && mqttProtocol(offered) !== undefined;
}
