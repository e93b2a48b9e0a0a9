// Clients that are slow, endless, huge or too many: each is cut off at a limit, and nobody else notices.

import { randomBytes } from "node:crypto";
import { once } from "node:events";
import type { Server } from "node:http";
import type { Duplex } from "node:stream";
import { duplexPair } from "node:stream";
import type { Server as TlsServer } from "node:tls";
import { describe, expect, it, onTestFinished } from "vitest";
import { WebSocket } from "ws";
import type { DeviceApi } from "../../src/service/device-api.ts";
import { createHttpsServer, type HttpsLimits } from "../../src/service/https-server.ts";
import { listen } from "../../src/service/listener.ts";
import { readFrames } from "../../src/service/mqtt-frames.ts";
import { createMqttServer, mqttSessions } from "../../src/service/mqtt-server.ts";
import type { MqttLimits } from "../../src/service/mqtt-session.ts";
import { acceptMqttOverWebSockets } from "../../src/service/websocket.ts";
import { systemClock } from "../../src/system/clock.ts";
import { silentLog } from "../../src/system/log.ts";
import { recordingLog } from "../support/recording-log.ts";
import { openCounter } from "./counter.ts";
import { openDesk } from "./desk.ts";
import { httpsDevice, mqttDevice, openLab } from "./lab.ts";
import {
  directoryOfFile,
  listening,
  RawMqttClient,
  recordingDeviceApi,
  serverCredential,
  tcpConnection,
  tlsConnection,
} from "./sockets.ts";
import { softTpm } from "./soft-tpm.ts";

const directory = directoryOfFile();
const credential = serverCredential(directory);

async function serveHttps(limits: Partial<HttpsLimits>, deviceApi?: DeviceApi): Promise<number> {
  const sessions = mqttSessions({
    deviceApi: deviceApi ?? recordingDeviceApi().deviceApi,
    clock: systemClock,
    log: silentLog,
    limits: { greetingTimeoutMs: 100 },
  });
  const server = await createHttpsServer({
    credential,
    deviceApi: deviceApi ?? recordingDeviceApi().deviceApi,
    operatorApis: [],
    clock: systemClock,
    log: silentLog,
    limits: { checkEveryMs: 10, ...limits },
  });
  acceptMqttOverWebSockets(server, sessions);
  onTestFinished(async () => {
    const closed = once(server, "close");
    server.close();
    (server as unknown as Server).closeAllConnections();
    sessions.closeAll();
    await closed;
  });
  return listening(server as unknown as TlsServer);
}

async function serveMqtt(limits: Partial<MqttLimits>): Promise<number> {
  const { deviceApi } = recordingDeviceApi();
  const sessions = mqttSessions({ deviceApi, clock: systemClock, log: silentLog, limits });
  const server = createMqttServer(credential, sessions);
  onTestFinished(async () => {
    const closed = once(server, "close");
    server.close();
    sessions.closeAll();
    await closed;
  });
  return listening(server);
}

/** All that comes until the service hangs up. */
async function heardUntilClosed(socket: Duplex): Promise<string> {
  let text = "";
  socket.on("data", (chunk) => {
    text += chunk;
  });
  socket.on("error", () => {});
  if (!socket.closed) await new Promise((resolve) => socket.once("close", resolve));
  return text;
}

const registerHead =
  "PUT /0ne/registrations/gw/register?api-version=2021-06-01 HTTP/1.1\r\nHost: localhost\r\n";

describe("over HTTPS, who", () => {
  it.each([
    { what: "never says anything", sent: "" },
    { what: "does not finish its request line", sent: "PUT /0ne" },
    { what: "does not finish its headers", sent: `${registerHead}X-A: b\r\n` },
    { what: "does not finish its body", sent: `${registerHead}Content-Length: 100\r\n\r\n{` },
    {
      what: "does not finish its chunks",
      sent: `${registerHead}Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n`,
    },
  ])("$what is told so and cut off", async ({ sent }) => {
    const port = await serveHttps({ headersTimeoutMs: 100, requestTimeoutMs: 150 });
    const socket = await tlsConnection(port, credential.caFile);
    socket.write(sent);
    const heard = await heardUntilClosed(socket);
    expect(heard).toMatch(/^HTTP\/1\.1 408 Request Timeout\r\n/);
    expect(JSON.parse(heard.slice(heard.indexOf("\r\n\r\n")))).toMatchObject({ errorCode: 408000 });
  });

  it("sends its headers by the drop is cut off all the same", async () => {
    const port = await serveHttps({ headersTimeoutMs: 100, requestTimeoutMs: 150 });
    const socket = await tlsConnection(port, credential.caFile);
    socket.write(registerHead);
    const drop = setInterval(() => socket.write("X-A: b\r\n"), 10);
    onTestFinished(() => clearInterval(drop));
    await heardUntilClosed(socket); // the drop that is under way may cost the client the answer
  });

  it("never begins TLS is cut off", async () => {
    const socket = await tcpConnection(await serveHttps({ handshakeTimeoutMs: 50 }));
    await heardUntilClosed(socket);
  });

  it("says nothing after an upgrade to MQTT is cut off", async () => {
    const { caFile } = credential;
    const port = await serveHttps({ headersTimeoutMs: 10_000 });
    const socket = await tlsConnection(port, caFile);
    const webSocket = new WebSocket("ws://localhost", ["mqtt"], { createConnection: () => socket });
    await once(webSocket, "open");
    await once(webSocket, "close");
  });

  it("sends more headers than there can be is told so", async () => {
    const socket = await tlsConnection(await serveHttps({}), credential.caFile);
    socket.write(`${registerHead}X-A: ${"b".repeat(17_000)}\r\n\r\n`);
    const heard = await heardUntilClosed(socket);
    expect(heard).toMatch(/^HTTP\/1\.1 431 /);
    expect(heard).toContain('"errorCode":431000');
  });

  // Node gives up a connection whose pipelined answers do not drain; no device asks like this.
  it("asks two thousand questions in one breath, and reads no answer, is borne or cut off", async () => {
    const { deviceApi, requests } = recordingDeviceApi();
    const port = await serveHttps({}, deviceApi);
    const rude = await tlsConnection(port, credential.caFile);
    rude.on("error", () => {}).pause();
    const question = `${registerHead}Content-Length: 2\r\n\r\n{}`;
    rude.write(question.repeat(2_000));
    const polite = await tlsConnection(port, credential.caFile);
    polite.write(question);
    expect(String((await once(polite, "data"))[0])).toMatch(/^HTTP\/1\.1 202 /);
    expect(requests.length).toBeLessThanOrEqual(2_001);
    for (const socket of [rude, polite]) socket.destroy();
  });
});

describe("over MQTT, who", () => {
  const connect = {
    clientId: "gw",
    username: "0ne/registrations/gw/api-version=2019-03-31",
  };

  it("sends a packet by the drop is cut off all the same", async () => {
    const port = await serveMqtt({ frameTimeoutMs: 100 });
    const client = new RawMqttClient(await tlsConnection(port, credential.caFile));
    await client.connect(connect);
    client.send(Buffer.from("30ff7f", "hex"));
    const drop = setInterval(() => client.send(Buffer.from("00", "hex")), 10);
    onTestFinished(() => clearInterval(drop));
    expect(await client.next()).toBeUndefined();
  });

  it("wants no keep-alive and falls silent is cut off", async () => {
    const port = await serveMqtt({ silenceTimeoutMs: 50 });
    const client = new RawMqttClient(await tlsConnection(port, credential.caFile));
    await client.connect({ ...connect, keepalive: 0 });
    expect(await client.next()).toBeUndefined();
  });

  it("sends the largest packet a byte at a time costs no more than its bytes", async () => {
    const [near, far] = duplexPair();
    const frames = readFrames(near, { frameTimeoutMs: 60_000 });
    const first = frames.next();
    const size = 256 * 1024;
    far.write(Buffer.from("30fcff0f", "hex"));
    const byte = Buffer.alloc(1, 0x61);
    for (let sent = 4; sent < size; sent++) {
      if (!far.write(byte)) await once(far, "drain");
    }
    const frame = (await first).value as Buffer;
    expect(frame).toHaveLength(size);
    expect(frame.subarray(4).every((each) => each === 0x61)).toBe(true);
  });
});

describe("who knows the name of a device, and not its key", () => {
  it("does not end the device's session; the device itself does, with its next", async () => {
    const lab = await openLab();
    const key = await lab.enrollKey("gw-1");
    const early = await mqttDevice(lab, "gw-1", randomBytes(32).toString("base64"));
    const first = await mqttDevice(lab, "gw-1", key);
    expect(await early.client.next()).toBeUndefined();
    const stranger = await mqttDevice(lab, "GW-1", randomBytes(32).toString("base64"));
    expect((await stranger.register()).status).toBe(401);
    expect((await first.register()).status).toBe(202);
    const second = await mqttDevice(lab, "gw-1", key);
    expect(await first.client.next()).toBeUndefined();
    expect((await second.register()).status).toBe(202);
  });
});

describe("who comes when the service is full", () => {
  it("is hung up on until somebody leaves, and the operator hears of it once", async () => {
    const log = recordingLog();
    const sessions = mqttSessions({ ...recordingDeviceApi(), clock: systemClock, log });
    const server = createMqttServer(credential, sessions);
    const listener = await listen(server, {
      host: "127.0.0.1",
      port: 0,
      purpose: "MQTT",
      mostConnections: 2,
      log,
    });
    onTestFinished(() => {
      sessions.closeAll();
      return listener.close();
    });
    const inside = [await tcpConnection(listener.port), await tcpConnection(listener.port)];
    for (let attempt = 0; attempt < 3; attempt++) {
      await heardUntilClosed((await tcpConnection(listener.port)).resume());
    }
    expect(log.events).toEqual([
      { level: "warn", event: "service.full", fields: { purpose: "MQTT", mostConnections: 2 } },
    ]);
    inside[0]?.destroy();
    const client = await onceThereIsRoom(() => tlsConnection(listener.port, credential.caFile));
    expect(client.authorized).toBe(true);
    for (const socket of [...inside, client]) socket.destroy();
  });
});

/** The service learns a little later that somebody has left. */
async function onceThereIsRoom<Socket>(dial: () => Promise<Socket>): Promise<Socket> {
  for (;;) {
    try {
      return await dial();
    } catch {
      await new Promise(setImmediate);
    }
  }
}

describe("a thousand connections that do nothing", () => {
  it("keep nobody from registering", async () => {
    const lab = await openLab();
    const { httpsPort, mqttPort, caFile } = lab.service;
    const key = await lab.enrollKey("gw-1");
    const idle: Duplex[] = [];
    onTestFinished(() => {
      for (const socket of idle) socket.destroy();
    });
    const many = async (count: number, dial: () => Promise<Duplex>): Promise<void> => {
      for (let at = 0; at < count; at += 50) {
        idle.push(...(await Promise.all(Array.from({ length: 50 }, dial))));
      }
    };
    await many(350, () => tcpConnection(httpsPort));
    await many(350, () => tcpConnection(mqttPort));
    await many(150, () => tlsConnection(httpsPort, caFile));
    await many(150, () => tlsConnection(mqttPort, caFile));
    expect(idle.filter(({ destroyed }) => !destroyed)).toHaveLength(1000);

    for (const device of [httpsDevice(lab, "gw-1", key), await mqttDevice(lab, "gw-1", key)]) {
      const { body } = await device.register();
      expect((await device.poll(String(body["operationId"]))).body["status"]).toBe("assigned");
    }
  });
});

describe("what is too much for a record", () => {
  const nested = (levels: number): string => `${'{"a":'.repeat(levels)}1${"}".repeat(levels)}`;

  it("is a payload that is nested beyond 64 levels", async () => {
    const desk = openDesk();
    const { attestation } = desk.enroll("gw-1", { attestation: { type: "symmetricKey" } });
    const { primaryKey } = attestation.type === "symmetricKey" ? attestation.symmetricKey : expect.fail();
    const ask = (levels: number) =>
      desk.ask({
        registrationId: "gw-1",
        authorization: desk.token("gw-1", primaryKey),
        body: Buffer.from(`{"payload":${nested(levels)}}`),
      });
    expect((await ask(63)).status).toBe(202);
    expect(await ask(64)).toMatchObject({ status: 400, body: { errorCode: 400000 } });
    expect(await ask(10_000)).toMatchObject({ status: 400, body: { errorCode: 400000 } });
  });

  it("is JSON that is nested beyond 64 levels", async () => {
    const { call } = await openCounter();
    const record = (levels: number): string =>
      `{"attestation":{"type":"symmetricKey"},"initialTwin":{"tags":${nested(levels)}}}`;
    expect((await call("PUT", "/enrollments/gw-1", record(62))).status).toBe(200);
    const refused = await call("PUT", "/enrollments/gw-1", record(63));
    expect(refused).toMatchObject({ status: 400, body: { message: expect.stringContaining("64 levels") } });
    // Brackets inside a text do not count.
    const text = `{"attestation":{"type":"symmetricKey"},"initialTwin":{"tags":{"a":"\\"${"[".repeat(100)}"}}}`;
    expect((await call("PUT", "/enrollments/gw-1", text)).status).toBe(200);
  });

  const { endorsementKey } = softTpm();
  it.each<[string, unknown]>([
    ["an endorsement key of a megabyte", { type: "tpm", tpm: { endorsementKey: "A".repeat(1 << 20) } }],
    ["an endorsement key of blanks", { type: "tpm", tpm: { endorsementKey: `${" ".repeat(1 << 20)}!` } }],
    [
      "a storage root key of blanks",
      { type: "tpm", tpm: { endorsementKey, storageRootKey: `${" ".repeat(1 << 20)}!` } },
    ],
    [
      "a certificate of a megabyte",
      { type: "x509", x509: { clientCertificates: { primary: { certificate: "A".repeat(1 << 20) } } } },
    ],
    ["a key of a megabyte", { type: "symmetricKey", symmetricKey: { primaryKey: "A".repeat(1 << 20) } }],
  ])("is %s", async (_, attestation) => {
    const { call } = await openCounter();
    expect(await call("PUT", "/enrollments/gw-1", { attestation })).toMatchObject({
      status: 400,
      body: { errorCode: 400000 },
    });
  });

  it("is a query of blanks", async () => {
    const { call } = await openCounter();
    const query = `*${" ".repeat(1 << 20)}x`;
    expect((await call("POST", "/enrollments/query", { query })).status).toBe(400);
  });
});

describe("an operator without a token", () => {
  it("is not listened to for the length of a body", async () => {
    const lab = await openLab();
    const socket = await tlsConnection(lab.service.httpsPort, lab.service.caFile);
    socket.write("PUT /enrollments/gw-1?api-version=2021-10-01 HTTP/1.1\r\nHost: localhost\r\n");
    socket.write("Content-Length: 4000000\r\n\r\n{");
    const [answer] = (await once(socket, "data")) as [Buffer];
    expect(answer.toString()).toMatch(/^HTTP\/1\.1 401 /);
    socket.destroy();
  });
});
