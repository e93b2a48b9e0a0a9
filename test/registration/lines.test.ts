// Real sockets: trust, proxies, and every way in which a line can fail, over HTTPS and MQTT.

import { createServer as createHttpsServer, type ServerOptions } from "node:https";
import { createServer as createTcpServer, type Socket } from "node:net";
import { createServer as createTlsServer } from "node:tls";
import mqttPacket from "mqtt-packet";
import { afterEach, beforeAll, describe, expect, it, onTestFinished, vi } from "vitest";
import { WebSocketServer } from "ws";
import { causeText } from "../../src/errors.ts";
import { openHttps } from "../../src/registration/https.ts";
import { openMqtt } from "../../src/registration/mqtt.ts";
import type { Endpoint, Transport } from "../../src/registration/transport.ts";
import { proxyFromEnvironment } from "../../src/system/proxy.ts";
import { type HttpProxy, type HttpProxyOptions, startHttpProxy } from "../support/http-proxy.ts";
import { thrownBy } from "../support/thrown.ts";
import { type KeyPair, listen, selfSigned } from "../support/tls-server.ts";

let ours: KeyPair;
let stranger: KeyPair;
const open: { close(): unknown }[] = [];

beforeAll(() => {
  ours = selfSigned("localhost");
  stranger = selfSigned("somewhere.example", { san: "DNS:somewhere.example" });
});

afterEach(async () => {
  for (const thing of open.splice(0)) await thing.close();
});

function keep<T extends { close(): unknown }>(thing: T): T {
  open.push(thing);
  return thing;
}

const endpoint = (port: number, overrides: Partial<Endpoint> = {}): Endpoint => ({
  host: "localhost",
  port,
  idScope: "0ne1",
  registrationId: "dev",
  ca: ours.certificate,
  ...overrides,
});

const server = (pair: KeyPair): ServerOptions => ({ cert: pair.certificate, key: pair.privateKey });

const https = (at: Endpoint): Transport => keep(openHttps(at, { userAgent: "test/1" }));

const send = (transport: Transport, ms = 5000) =>
  transport.send({ kind: "register", body: { registrationId: "dev" } }, { signal: AbortSignal.timeout(ms) });

/** An HTTPS server that hands each raw socket of a request to `answer`. */
async function rawHttps(answer: (socket: Socket) => void, pair = ours): Promise<number> {
  return listen(keep(createHttpsServer(server(pair), (request) => answer(request.socket))));
}

const json = (body: string, head = "HTTP/1.1 200 OK"): string =>
  `${head}\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;

describe("HTTPS", () => {
  it("asks in the documented words and reads status, body, Retry-After, request id and date", async () => {
    let seen = "";
    const port = await listen(
      keep(
        createHttpsServer(server(ours), (request, response) => {
          seen = `${request.method} ${request.url} ${request.headers["content-type"]} ${request.headers["authorization"]}`;
          request.resume();
          response.writeHead(202, {
            "Retry-After": "3",
            "x-ms-request-id": "r1",
            Date: "Tue, 09 May 2017 18:28:44 GMT",
          });
          response.end('{"operationId":"5.a.b","status":"assigning"}');
        }),
      ),
    );
    const answer = await https(endpoint(port)).send(
      { kind: "register", body: { registrationId: "dev" }, authorization: "SharedAccessSignature x" },
      { signal: AbortSignal.timeout(5000) },
    );
    expect(seen).toBe(
      "PUT /0ne1/registrations/dev/register?api-version=2021-06-01 application/json; charset=utf-8 SharedAccessSignature x",
    );
    expect(answer).toEqual({
      status: 202,
      body: { operationId: "5.a.b", status: "assigning" },
      retryAfterMs: 3000,
      requestId: "r1",
      dateAt: Date.UTC(2017, 4, 9, 18, 28, 44),
    });
  });

  it("uses one line for the whole conversation", async () => {
    let lines = 0;
    const listening = keep(
      createHttpsServer(
        server(ours),
        (request, response) => void request.resume().on("end", () => response.end("{}")),
      ),
    );
    listening.on("secureConnection", () => lines++);
    const transport = https(endpoint(await listen(listening)));
    await send(transport);
    await transport.send({ kind: "operation", operationId: "x" }, { signal: AbortSignal.timeout(5000) });
    expect(lines).toBe(1);
  });

  it("leaves the body open when it is not JSON", async () => {
    const port = await rawHttps((socket) => socket.end(json("<html>", "HTTP/1.1 502 Bad Gateway")));
    expect(await send(https(endpoint(port)))).toMatchObject({ status: 502, body: undefined });
  });

  it.each<[string, (socket: Socket) => void, string]>([
    ["closes without an answer", (socket) => socket.end(), "ERR_CONNECTION_LOST"],
    [
      "closes in the middle of an answer",
      (socket) => socket.end(json('{"operationId":"5').slice(0, -4)),
      "ERR_CONNECTION_LOST",
    ],
    ["resets the line", (socket) => socket.destroy(), "ERR_CONNECTION_LOST"],
    ["speaks no HTTP", (socket) => socket.end("SSH-2.0-OpenSSH\r\n\r\n"), "ERR_CONNECTION_LOST"],
    ["talks without end", (socket) => flood(socket), "ERR_PROTOCOL"],
  ])("names a server that %s", async (_what, answer, code) => {
    const port = await rawHttps(answer);
    expect((await thrownBy(() => send(https(endpoint(port))))).code).toBe(code);
  });

  it("stops with the signal's own reason", async () => {
    const port = await rawHttps(() => {});
    const stop = new AbortController();
    const sent = https(endpoint(port)).send({ kind: "operation", operationId: "x" }, { signal: stop.signal });
    stop.abort(new RangeError("enough"));
    await expect(sent).rejects.toBeInstanceOf(RangeError);
  });
});

describe("trust", () => {
  const quiet = (socket: Socket): void => void socket.end(json("{}"));

  it("refuses a server that nobody vouches for", async () => {
    const port = await rawHttps(quiet, selfSigned("localhost"));
    const error = await thrownBy(() => send(https(endpoint(port))));
    expect(error.code).toBe("ERR_TLS_SERVER");
  });

  it("refuses a server that nobody vouches for when there is no ca_file at all", async () => {
    const port = await rawHttps(quiet);
    const { ca: _none, ...bare } = endpoint(port);
    expect((await thrownBy(() => send(https(bare)))).code).toBe("ERR_TLS_SERVER");
  });

  it("does not hang on what the environment allows others", async () => {
    vi.stubEnv("NODE_TLS_REJECT_UNAUTHORIZED", "0");
    onTestFinished(() => void vi.unstubAllEnvs());
    const port = await rawHttps((socket) => socket.end(json("{}")), stranger);
    expect((await thrownBy(() => send(https(endpoint(port))))).code).toBe("ERR_TLS_SERVER");
  });

  it("refuses a trusted server under another name", async () => {
    const port = await rawHttps(quiet, stranger);
    expect((await thrownBy(() => send(https(endpoint(port, { ca: stranger.certificate }))))).code).toBe(
      "ERR_TLS_SERVER",
    );
  });

  it("refuses TLS older than 1.2", async () => {
    const old = createTlsServer({
      ...server(ours),
      minVersion: "TLSv1",
      maxVersion: "TLSv1.1",
      ciphers: "DEFAULT@SECLEVEL=0",
    });
    const port = await listen(keep(old));
    expect((await thrownBy(() => send(https(endpoint(port))))).code).toBe("ERR_TLS_SERVER");
  });

  it("names a server that refuses our certificate", async () => {
    const strict = createHttpsServer({
      ...server(ours),
      requestCert: true,
      rejectUnauthorized: true,
      ca: [stranger.certificate],
    });
    const port = await listen(keep(strict));
    const at = endpoint(port, { clientCertificate: ours });
    expect(["ERR_TLS_CLIENT", "ERR_CONNECTION_LOST"]).toContain((await thrownBy(() => send(https(at)))).code);
  });

  it("takes a plain-text port for what it is", async () => {
    const port = await listen(
      keep(createTcpServer((socket) => void socket.end("HTTP/1.1 400 Bad Request\r\n\r\n"))),
    );
    const error = await thrownBy(() => send(https(endpoint(port))));
    expect(error.code).toBe("ERR_TLS_SERVER");
    expect(causeText(error)).toBe(`cannot connect to localhost:${port}: wrong version number`);
    expect(error.hint).toContain("does not speak TLS 1.2");
  });
});

describe("unreachable", () => {
  it("names a port where nobody listens", async () => {
    const server = createTcpServer();
    const port = await listen(server);
    await new Promise((resolve) => server.close(resolve));
    for (const transport of [
      https(endpoint(port)),
      keep(openMqtt("mqtt", endpoint(port), { clientVersion: "t" })),
    ]) {
      const error = await thrownBy(() => send(transport));
      expect(error.code).toBe("ERR_CONNECT");
      expect(error.message).toContain(`localhost:${port}`);
    }
  });

  it("names a host that does not exist", async () => {
    const error = await thrownBy(() => send(https(endpoint(443, { host: "no-such-host.invalid" }))));
    expect(error.code).toBe("ERR_DNS");
    expect(error.hint).toContain("`getent hosts no-such-host.invalid`");
  });

  it("counts a line that is reset during set-up as unreachable", async () => {
    const port = await listen(keep(createTcpServer((socket) => void socket.resetAndDestroy())));
    expect((await thrownBy(() => send(https(endpoint(port))))).code).toBe("ERR_CONNECT");
  });
});

describe("MQTT", () => {
  it("loses its session when the server hangs up, and says so", async () => {
    const port = await listen(
      keep(createTlsServer(server(ours), (socket) => void socket.once("data", () => socket.end()))),
    );
    const transport = keep(openMqtt("mqtt", endpoint(port), { clientVersion: "t" }));
    expect((await thrownBy(() => send(transport))).code).toBe("ERR_CONNECTION_LOST");
  });

  it("turns a CONNACK refusal into a code", async () => {
    const refuse = Buffer.from([0x20, 0x02, 0x00, 0x05]);
    const port = await listen(
      keep(createTlsServer(server(ours), (socket) => void socket.once("data", () => socket.write(refuse)))),
    );
    const transport = keep(openMqtt("mqtt", endpoint(port), { clientVersion: "t" }));
    expect((await thrownBy(() => send(transport))).code).toBe("ERR_UNAUTHORIZED");
  });

  it.each<[string, number, (reached: () => void) => Parameters<typeof mqttServer>[0]]>([
    ["subscribe", 10_000, (reached) => ({ subscribed: reached })],
    ["ask", 30_000, (reached) => ({ published: reached })],
  ])("counts as lost when it lets us %s and says nothing", async (_what, patienceMs, silence) => {
    const reached = Promise.withResolvers<void>();
    const port = await mqttServer(silence(reached.resolve));
    const timers = vi.spyOn(globalThis, "setTimeout");
    const sent = thrownBy(() => send(keep(openMqtt("mqtt", endpoint(port), { clientVersion: "t" }))));
    await reached.promise;
    // Its patience, without the wait for its end.
    const patience = timers.mock.calls.findLast(([, ms]) => ms === patienceMs)?.[0] as () => void;
    timers.mockRestore();
    patience();
    expect(await sent).toMatchObject({
      code: "ERR_CONNECTION_LOST",
      message: expect.stringContaining(`within ${patienceMs / 1000} s`),
    });
  });

  it("takes no more of an answer than one of DPS can have, however much is announced", async () => {
    const more = Buffer.alloc(65_536);
    let taken = 0;
    const port = await mqttServer({
      published: (socket) => {
        // PUBLISH of 256 MiB less a byte.
        socket.write(Buffer.from([0x30, 0xff, 0xff, 0xff, 0x7f]));
        const flood = (): void => {
          if (socket.destroyed || taken > 64 * 1024 * 1024) return;
          taken += more.length;
          socket.write(more, flood);
        };
        flood();
      },
    });
    const error = await thrownBy(() => send(keep(openMqtt("mqtt", endpoint(port), { clientVersion: "t" }))));
    expect(error.code).toBe("ERR_PROTOCOL");
    expect(taken).toBeLessThan(64 * 1024 * 1024);
  });

  it("names a server that does not switch to WebSockets", async () => {
    const port = await rawHttps((socket) => socket.end(json("{}", "HTTP/1.1 404 Not Found")));
    const transport = keep(openMqtt("mqtt-ws", endpoint(port), { clientVersion: "t" }));
    expect((await thrownBy(() => send(transport))).code).toBe("ERR_PROTOCOL");
  });
});

/** An MQTT server that takes everybody, lets them subscribe, and does not answer by itself. */
async function mqttServer({
  subscribed = (socket, id) => void socket.write(Buffer.from([0x90, 3, id >> 8, id & 0xff, 1])),
  published = () => {},
}: {
  subscribed?: (socket: Socket, id: number) => void;
  published?: (socket: Socket) => void;
}): Promise<number> {
  const listening = createTlsServer(server(ours), (socket) => {
    const parser = mqttPacket.parser();
    parser.on("packet", (packet) => {
      if (packet.cmd === "connect") socket.write(Buffer.from([0x20, 2, 0, 0]));
      if (packet.cmd === "subscribe") subscribed(socket, packet.messageId ?? 0);
      if (packet.cmd === "publish") published(socket);
    });
    socket.on("data", (bytes) => parser.parse(bytes)).on("error", () => {});
  });
  return listen(keep(listening));
}

describe("MQTT over WebSockets", () => {
  const overWebSockets = (port: number): Transport =>
    keep(openMqtt("mqtt-ws", endpoint(port), { clientVersion: "t" }));

  it("notices at once when the server goes", async () => {
    const secure = keep(createHttpsServer(server(ours)));
    const port = await listen(secure);
    new WebSocketServer({ server: secure }).on("connection", (socket) => {
      socket.once("message", () => socket.terminate());
    });
    expect((await thrownBy(() => send(overWebSockets(port)))).code).toBe("ERR_CONNECTION_LOST");
  });

  it("counts as unreachable when nobody answers the upgrade", async () => {
    const asked = Promise.withResolvers<void>();
    const sockets: Socket[] = [];
    const secure = createHttpsServer(server(ours)).on("upgrade", (_request, socket) => {
      sockets.push(socket as Socket);
      asked.resolve();
    });
    const port = await listen(keep(secure));
    const timers = vi.spyOn(globalThis, "setTimeout");
    const sent = thrownBy(() => send(overWebSockets(port)));
    await asked.promise;
    // Its patience, without the wait for its end.
    const patience = timers.mock.calls.findLast(([, ms]) => ms === 10_000)?.[0] as () => void;
    timers.mockRestore();
    patience();
    expect(await sent).toMatchObject({ code: "ERR_CONNECT", message: expect.stringContaining("WebSocket") });
    for (const socket of sockets) socket.destroy();
  });
});

describe("being stopped", () => {
  it("at any moment of the set-up ends with the signal's reason, and the process lives", async () => {
    const port = await rawHttps((socket) => void socket.end(json("{}")));
    const { port: via } = await proxy();
    const ways = [
      () => openHttps(endpoint(port), { userAgent: "t" }),
      () => openHttps(endpoint(port, { proxy: `http://user:pa%20ss@127.0.0.1:${via}` }), { userAgent: "t" }),
      () => openMqtt("mqtt", endpoint(port), { clientVersion: "t" }),
      () => openMqtt("mqtt-ws", endpoint(port), { clientVersion: "t" }),
    ];
    const reason = new RangeError("enough");
    for (let round = 0; round < 160; round++) {
      const transport = (ways[round % ways.length] as () => Transport)();
      const stop = new AbortController();
      const sent = transport.send({ kind: "register", body: {} }, { signal: stop.signal }).then(
        () => "answered",
        (error: unknown) => error,
      );
      for (let turns = round / 4; turns > 0; turns--) await new Promise(setImmediate);
      stop.abort(reason);
      const outcome = await sent;
      if (outcome !== "answered" && outcome !== reason)
        expect(outcome).toMatchObject({ name: "MooringError" });
      await transport.close();
    }
  });
});

describe("a server that takes the connection and says nothing", () => {
  // Half the time after which a line counts as unreachable: whoever waits for that fails here.
  it.each([
    ["HTTPS", (at: Endpoint) => openHttps(at, { userAgent: "t" })],
    ["MQTT", (at: Endpoint) => openMqtt("mqtt", at, { clientVersion: "t" })],
    ["MQTT over WebSockets", (at: Endpoint) => openMqtt("mqtt-ws", at, { clientVersion: "t" })],
  ])("keeps nobody who is told to stop: %s", { timeout: 5_000 }, async (_what, open) => {
    const taken = Promise.withResolvers<void>();
    const port = await listen(keep(createTcpServer(() => taken.resolve())));
    const transport = keep(open(endpoint(port)));
    const stop = new AbortController();
    const sent = transport.send({ kind: "register", body: {} }, { signal: stop.signal });
    await taken.promise;
    stop.abort(new RangeError("enough"));
    await expect(sent).rejects.toBeInstanceOf(RangeError);
    await transport.close();
  });
});

const proxy = async (more: HttpProxyOptions = {}): Promise<HttpProxy> =>
  keep(await startHttpProxy({ credentials: "user:pa ss", ...more }));

describe("a proxy", () => {
  it("is passed by CONNECT, with its credentials", async () => {
    const { port: via, tunnels } = await proxy();
    const port = await rawHttps((socket) => socket.end(json("{}")));
    const answer = await send(https(endpoint(port, { proxy: `http://user:pa%20ss@127.0.0.1:${via}` })));
    expect(answer.status).toBe(200);
    expect(tunnels).toEqual([`localhost:${port}`]);
  });

  it("that wants other credentials is named, and they are not", async () => {
    const { port: via } = await proxy();
    const error = await thrownBy(() =>
      send(https(endpoint(1, { proxy: `http://user:hunter2@127.0.0.1:${via}` }))),
    );
    expect(error).toMatchObject({ code: "ERR_PROXY_AUTHORIZATION", retry: "later" });
    expect(error.message).toContain("407");
    expect(error.hint).toContain("proxy_credentials_file");
    expect(JSON.stringify([error.message, error.details, String(error.cause)])).not.toContain("hunter2");
  });

  it("may speak TLS itself, and is then held to the same trust", async () => {
    const secure = await proxy({ tls: ours });
    const port = await rawHttps((socket) => socket.end(json("{}")));
    const through = (via: HttpProxy): Promise<unknown> =>
      send(https(endpoint(port, { proxy: `https://user:pa%20ss@localhost:${via.port}` })));
    expect(await through(secure)).toMatchObject({ status: 200 });
    expect(secure.tunnels).toEqual([`localhost:${port}`]);

    const impostor = await proxy({ tls: selfSigned("localhost") });
    expect((await thrownBy(() => through(impostor))).code).toBe("ERR_PROXY");
    expect(impostor.tunnels).toEqual([]);
  });

  it("gets credentials as they stand in its address where they are not percent-encoded", async () => {
    const { port: via, tunnels } = await proxy({ credentials: "us%er:pa%ss" });
    const port = await rawHttps((socket) => socket.end(json("{}")));
    await send(https(endpoint(port, { proxy: `http://us%er:pa%ss@127.0.0.1:${via}` })));
    expect(tunnels).toEqual([`localhost:${port}`]);
  });

  it("that does not speak TLS is told of in words", async () => {
    const { port: via } = await proxy();
    const error = await thrownBy(() => send(https(endpoint(1, { proxy: `https://localhost:${via}` }))));
    expect(error.code).toBe("ERR_PROXY");
    expect(causeText(error)).toBe(
      `cannot reach localhost:1 through the proxy localhost:${via}: wrong version number`,
    );
  });

  it("that does not let us through is named with its answer", async () => {
    const { port: via } = await proxy({ refusal: "403 Forbidden" });
    const error = await thrownBy(() => send(https(endpoint(1, { proxy: `http://127.0.0.1:${via}` }))));
    expect(error.code).toBe("ERR_PROXY");
    expect(error.message).toContain(`127.0.0.1:${via}: it answered 403`);
  });

  it("of the environment is an HTTP proxy when it names no scheme, as elsewhere", async () => {
    for (const name of ["https_proxy", "all_proxy", "no_proxy", "ALL_PROXY", "NO_PROXY"])
      vi.stubEnv(name, "");
    onTestFinished(() => void vi.unstubAllEnvs());
    const found = () => proxyFromEnvironment({ host: "dps.example", port: 443 });
    expect(await found()).toBe(undefined);
    vi.stubEnv("HTTPS_PROXY", "proxy.example:3128");
    expect(await found()).toBe("http://proxy.example:3128");
    vi.stubEnv("HTTPS_PROXY", "https://proxy.example:3128");
    expect(await found()).toBe("https://proxy.example:3128");
    vi.stubEnv("NO_PROXY", "dps.example");
    expect(await found()).toBe(undefined);
  });

  it("that is not there is named", async () => {
    const error = await thrownBy(() => send(https(endpoint(1, { proxy: "http://127.0.0.1:1" }))));
    expect(error.code).toBe("ERR_PROXY");
  });
});

function flood(socket: Socket): void {
  socket.write("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n");
  const more = (): void => {
    if (!socket.destroyed) socket.write(Buffer.alloc(65_536, 0x20), more);
  };
  socket.on("error", () => {});
  more();
}
