// An HTTPS server that answers as a test says, whatever DPS would have answered: for lies and for broken lines. It
// shows every request as it came.

import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer } from "node:https";
import type { Socket } from "node:net";
import { listen, selfSigned } from "./tls-server.ts";

export interface ScriptedService extends AsyncDisposable {
  readonly idScope: string;
  readonly httpsPort: number;
  /** Nobody listens there. */
  readonly mqttPort: number;
  /** PEM, of the server itself. */
  readonly certificate: string;
  readonly privateKey: string;
  readonly requests: readonly ScriptedRequest[];
  /** What the next request, and each after it, is answered. */
  answer: (response: ServerResponse, request: ScriptedRequest) => void;
}

export interface ScriptedRequest {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingMessage["headers"];
  readonly body: string;
  readonly socket: Socket;
}

/** `commonName` is what its certificate says; it is for localhost in any case. */
export async function scriptedService(commonName = "localhost"): Promise<ScriptedService> {
  const { certificate, privateKey } = selfSigned(commonName);
  const requests: ScriptedRequest[] = [];
  const sockets = new Set<Socket>();
  const server = createServer({
    cert: certificate,
    key: privateKey,
    requestCert: true,
    rejectUnauthorized: false,
  });
  server.on("connection", (socket: Socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
  });
  server.on("request", async (message: IncomingMessage, response: ServerResponse) => {
    let body = "";
    for await (const chunk of message) body += chunk;
    const { method = "", url = "", headers, socket } = message;
    const request = { method, url, headers, body, socket };
    requests.push(request);
    scripted.answer(response, request);
  });
  const httpsPort = await listen(server);
  const scripted: ScriptedService = {
    idScope: "0ne00ABCDEF",
    httpsPort,
    mqttPort: 1,
    certificate,
    privateKey,
    requests,
    answer: (response) => void response.destroy(),
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return scripted;
}

export function answerJson(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { "content-type": "application/json; charset=utf-8" }).end(JSON.stringify(body));
}
