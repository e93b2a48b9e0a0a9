// What our client sends over MQTT and MQTT over WebSockets, byte for byte, against packets composed by hand from
// MQTT 3.1.1 and the topics of DPS.

import { once } from "node:events";
import { createServer as createHttpsServer } from "node:https";
import type { Duplex } from "node:stream";
import { createServer as createTlsServer } from "node:tls";
import { afterEach, beforeAll, describe, expect, it } from "vitest";
import { createWebSocketStream, WebSocketServer } from "ws";
import { register } from "../../src/registration/handshake.ts";
import { openMqtt } from "../../src/registration/mqtt.ts";
import { silentLog } from "../../src/system/log.ts";
import vectors from "../fixtures/dps-vectors.json" with { type: "json" };
import { type KeyPair, listen, selfSigned } from "../support/tls-server.ts";
import { virtualClock } from "../support/virtual-clock.ts";

const operationId = "4.d0a671905ea5b2c8.42d78160-4c78-479e-8be7-61d5e55dac0d";

let pair: KeyPair;
const open: (() => unknown)[] = [];

beforeAll(() => {
  pair = selfSigned("localhost");
});
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

// MQTT 3.1.1, 1.5.3: a string has its length in front; 2.2.3: so has a packet, seven bits a byte.
const string = (text: string): Buffer => Buffer.concat([Buffer.from([0, text.length]), Buffer.from(text)]);
function packet(first: number, ...parts: readonly Buffer[]): Buffer {
  const rest = Buffer.concat([...parts]);
  const length = rest.length < 128 ? [rest.length] : [(rest.length & 0x7f) | 0x80, rest.length >> 7];
  return Buffer.concat([Buffer.from([first, ...length]), rest]);
}
const hex = (text: string): Buffer => Buffer.from(text.replaceAll(" ", ""), "hex");

interface Line {
  /** The next whole packet of the client. */
  next(): Promise<Buffer>;
  send(bytes: Buffer): void;
  /** Everything until the client hung up, after what `next` took. */
  rest(): Promise<Buffer>;
}

function lineOf(stream: Duplex): Line {
  let bytes = Buffer.alloc(0);
  let ended = false;
  stream.on("error", () => {});
  stream.on("data", (chunk: Buffer) => {
    bytes = Buffer.concat([bytes, chunk]);
    stream.emit("arrived");
  });
  stream.once("close", () => {
    ended = true;
    stream.emit("arrived");
  });
  const whole = (): number | undefined => {
    const isLong = ((bytes[1] ?? 0) & 0x80) !== 0;
    const header = isLong ? 3 : 2;
    if (bytes.length < header) return undefined;
    const size = header + (isLong ? ((bytes[1] ?? 0) & 0x7f) + (bytes[2] ?? 0) * 128 : (bytes[1] ?? 0));
    return bytes.length >= size ? size : undefined;
  };
  return {
    next: async () => {
      for (;;) {
        const size = whole();
        if (size !== undefined) {
          const first = bytes.subarray(0, size);
          bytes = bytes.subarray(size);
          return first;
        }
        if (ended) throw new Error("the client hung up");
        await once(stream, "arrived");
      }
    },
    send: (answer) => void stream.write(answer),
    rest: async () => {
      while (!ended) await once(stream, "arrived");
      return bytes;
    },
  };
}

async function mqttServer(): Promise<{ port: number; line: Promise<Line> }> {
  const server = createTlsServer({ cert: pair.certificate, key: pair.privateKey });
  const line = once(server, "secureConnection").then(([socket]) => {
    open.push(() => socket.destroy());
    return lineOf(socket);
  });
  open.push(() => void server.close());
  return { port: await listen(server), line };
}

const state = { assignedHub: "contoso.azure-devices.net", deviceId: "my-device-id1", status: "assigned" };

function start(name: "mqtt" | "mqtt-ws", port: number, sign?: (data: Uint8Array) => Promise<Uint8Array>) {
  const transport = openMqtt(
    name,
    {
      host: "localhost",
      port,
      idScope: "0neFEEDC0DE",
      registrationId: "myRegistrationId",
      ca: pair.certificate,
    },
    { clientVersion: "c/1.2.3" },
  );
  open.push(() => transport.close());
  const registering = register({
    ...{ idScope: "0neFEEDC0DE", registrationId: "myRegistrationId", transport, random: () => 0 },
    credential: sign ? { attestation: "symmetricKey", sign } : { attestation: "x509" },
    ...{ clock: virtualClock(Date.UTC(2026, 0, 1)), log: silentLog },
    signal: AbortSignal.timeout(10_000),
    remainingMs: () => 60_000,
  });
  return { registering, transport };
}

const username = "0neFEEDC0DE/registrations/myRegistrationId/api-version=2021-06-01&ClientVersion=c%2F1.2.3";

/** Greets the client, and checks both of its packets. */
async function greet(line: Line, flags: string, ...password: readonly Buffer[]): Promise<void> {
  const connect = packet(
    0x10,
    string("MQTT"),
    hex(`04 ${flags} 00b4`), // level 4; clean session, user name, perhaps password; keep-alive 180 s
    string("myRegistrationId"),
    string(username),
    ...password,
  );
  expect((await line.next()).toString("latin1")).toBe(connect.toString("latin1"));
  line.send(hex("20 02 00 00"));
  const subscribe = await line.next();
  const id = subscribe.subarray(2, 4);
  const wanted = packet(0x82, id, string("$dps/registrations/res/#"), hex("01"));
  expect(subscribe.toString("latin1")).toBe(wanted.toString("latin1"));
  line.send(Buffer.concat([hex("90 03"), id, hex("01")]));
}

/** Checks one PUBLISH at QoS 1, answers it, and returns its request id. */
async function exchange(
  line: Line,
  expected: { topic: (requestId: string) => string; payload: string },
  answer: { topic: (requestId: string) => string; body: unknown; qos?: 0 },
): Promise<void> {
  const published = await line.next();
  const requestId = /\$rid=([0-9a-f-]{36})/.exec(published.toString("latin1"))?.[1] ?? "";
  const topic = expected.topic(requestId);
  const at = published.indexOf(topic) + topic.length;
  const id = published.subarray(at, at + 2);
  const wanted = packet(0x32, string(topic), id, Buffer.from(expected.payload));
  expect(published.toString("latin1")).toBe(wanted.toString("latin1"));
  line.send(Buffer.concat([hex("40 02"), id]));
  const first = answer.qos === 0 ? 0x30 : 0x32;
  const ownId = answer.qos === 0 ? Buffer.alloc(0) : hex("0001");
  line.send(packet(first, string(answer.topic(requestId)), ownId, Buffer.from(JSON.stringify(answer.body))));
  if (answer.qos !== 0) expect((await line.next()).toString("hex")).toBe("40020001");
}

const registerTopic = (requestId: string): string =>
  `$dps/registrations/PUT/iotdps-register/?$rid=${requestId}`;
const pollTopic = (requestId: string): string =>
  `$dps/registrations/GET/iotdps-get-operationstatus/?$rid=${requestId}&operationId=${operationId}`;
const body = '{"registrationId":"myRegistrationId"}';
const assigned = { operationId, status: "assigned", registrationState: state };
const running = vectors.deviceResponses[1]?.json;

describe("over MQTT our client sends", () => {
  it("CONNECT, SUBSCRIBE, one PUBLISH a question, PUBACKs and DISCONNECT, and nothing else", async () => {
    const { port, line: coming } = await mqttServer();
    const { registering, transport } = start("mqtt", port);
    const line = await coming;
    await greet(line, "82");
    await exchange(
      line,
      { topic: registerTopic, payload: body },
      { topic: (rid) => `$dps/registrations/res/202/?$rid=${rid}&retry-after=3`, body: running },
    );
    await exchange(
      line,
      { topic: pollTopic, payload: " " },
      // azure-sdk-for-c has a test with the properties in this order.
      { topic: (rid) => `$dps/registrations/res/202/?retry-after=3&$rid=${rid}`, body: running },
    );
    await exchange(
      line,
      { topic: pollTopic, payload: " " },
      { topic: (rid) => `$dps/registrations/res/200/?$rid=${rid}`, body: assigned, qos: 0 },
    );
    expect(await registering).toMatchObject({ assignedHub: state.assignedHub, deviceId: state.deviceId });
    await transport.close();
    expect((await line.rest()).toString("hex")).toBe("e000");
  });

  it("a SAS token as the password when it has a symmetric key", async () => {
    const { port, line: coming } = await mqttServer();
    const { registering } = start("mqtt", port, async () => new Uint8Array(32));
    const line = await coming;
    const expiry = Date.UTC(2026, 0, 1) / 1000 + 3600;
    const token = `SharedAccessSignature sr=0neFEEDC0DE%2Fregistrations%2FmyRegistrationId&sig=${"A".repeat(43)}%3D&se=${expiry}&skn=registration`;
    await greet(line, "c2", string(token));
    await exchange(
      line,
      { topic: registerTopic, payload: body },
      { topic: (rid) => `$dps/registrations/res/200/?$rid=${rid}`, body: assigned },
    );
    await registering;
  });

  it("no second PUBLISH for the answer to somebody else's question", async () => {
    const { port, line: coming } = await mqttServer();
    const { registering } = start("mqtt", port);
    const line = await coming;
    await greet(line, "82");
    const stray = { ...assigned, registrationState: { ...state, deviceId: "somebody-else" } };
    line.send(packet(0x30, string("$dps/registrations/res/200/?$rid=1"), Buffer.from(JSON.stringify(stray))));
    await exchange(
      line,
      { topic: registerTopic, payload: body },
      { topic: (rid) => `$dps/registrations/res/200/?$rid=${rid}`, body: assigned },
    );
    expect((await registering).deviceId).toBe("my-device-id1");
  });
});

describe("over WebSockets our client sends", () => {
  it("the upgrade that Azure's gateway expects, and the same packets in binary frames", async () => {
    const server = createHttpsServer({ cert: pair.certificate, key: pair.privateKey });
    const sockets = new WebSocketServer({ server, handleProtocols: () => "mqtt" });
    const port = await listen(server);
    open.push(() => {
      for (const client of sockets.clients) client.terminate();
      server.close();
    });
    const connected = once(sockets, "connection");
    const { registering } = start("mqtt-ws", port);
    const [socket, upgrade] = await connected;
    expect(`${upgrade.method} ${upgrade.url}`).toBe("GET /$iothub/websocket");
    expect(upgrade.headers).toMatchObject({
      host: `localhost:${port}`,
      upgrade: "websocket",
      "sec-websocket-protocol": "mqtt",
      "sec-websocket-version": "13",
    });
    expect(upgrade.headers["sec-websocket-extensions"]).toBe(undefined);
    socket.on("message", (_: Buffer, isBinary: boolean) => expect(isBinary).toBe(true));
    const line = lineOf(createWebSocketStream(socket));
    await greet(line, "82");
    await exchange(
      line,
      { topic: registerTopic, payload: body },
      { topic: (rid) => `$dps/registrations/res/200/?$rid=${rid}`, body: assigned },
    );
    expect((await registering).deviceId).toBe("my-device-id1");
  });
});
