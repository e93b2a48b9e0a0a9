// An HTTP proxy as plants have them: it tunnels CONNECT, may want credentials, may speak TLS itself, and may lead
// somewhere else than it was asked for, which is what an intercepting one does.

import { createServer, type Server } from "node:http";
import { createServer as createSecureServer } from "node:https";
import { connect, type Socket } from "node:net";
import { type KeyPair, listen } from "./tls-server.ts";

export interface HttpProxy extends AsyncDisposable {
  readonly port: number;
  /** `host:port` of each tunnel that was opened. */
  readonly tunnels: readonly string[];
  close(): Promise<void>;
}

export interface HttpProxyOptions {
  /** `user:password` */
  readonly credentials?: string;
  /** Makes it an `https://` proxy. */
  readonly tls?: KeyPair;
  /** The port of this machine where every tunnel ends, whatever was asked for. */
  readonly leadsTo?: number;
  /** Answers every CONNECT so instead. */
  readonly refusal?: string;
}

export async function startHttpProxy(options: HttpProxyOptions = {}): Promise<HttpProxy> {
  const { credentials, tls, leadsTo, refusal } = options;
  const wanted = credentials && `Basic ${Buffer.from(credentials).toString("base64")}`;
  const tunnels: string[] = [];
  const sockets = new Set<Socket>();
  const server: Server = tls
    ? createSecureServer({ cert: tls.certificate, key: tls.privateKey })
    : createServer();
  server.on("connect", ({ url = "", headers }, socket) => {
    socket.on("error", () => {});
    if (refusal !== undefined) return void socket.end(`HTTP/1.1 ${refusal}\r\n\r\n`);
    if (wanted !== undefined && headers["proxy-authorization"] !== wanted)
      return void socket.end("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n");
    tunnels.push(url);
    const far = connect(leadsTo ?? Number(url.split(":")[1]), "127.0.0.1", () => {
      socket.write("HTTP/1.1 200 Connection Established\r\n\r\n");
      far.pipe(socket).pipe(far);
    });
    far.on("error", () => socket.destroy());
    socket.on("close", () => far.destroy());
  });
  server.on("connection", (socket: Socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
  });
  const close = async (): Promise<void> => {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  };
  return { port: await listen(server), tunnels, close, [Symbol.asyncDispose]: close };
}
