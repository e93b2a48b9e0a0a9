// Devices that say anything at all, over HTTPS and over MQTT: the service answers or hangs up, never fails, and never
// tells one device what belongs to another.

import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import type { Server as HttpServer } from "node:http";
import { Agent, request } from "node:https";
import { duplexPair } from "node:stream";
import type { Server as TlsServer } from "node:tls";
import { connect as connectTls } from "node:tls";
import fc from "fast-check";
import mqttPacket, { type Packet } from "mqtt-packet";
import { describe, expect, it, onTestFinished } from "vitest";
import type { DeviceApi } from "../../src/service/device-api.ts";
import { createHttpsServer } from "../../src/service/https-server.ts";
import { type MqttSessions, mqttSessions } from "../../src/service/mqtt-server.ts";
import type { Scenario } from "../../src/service/scenario.ts";
import { stage } from "../../src/service/staged-device-api.ts";
import { type Desk, openDesk } from "./desk.ts";
import {
  type Bytes,
  body,
  bufferOf,
  bytesOf,
  effort,
  failuresIn,
  faultOf,
  fuzzTimeoutMs,
  headerText,
  segment,
  spoiledBytes,
  text,
} from "./fuzzing.ts";
import { directoryOfFile, listening, serverCredential } from "./sockets.ts";
import { softTpm } from "./soft-tpm.ts";

const credential = serverCredential(directoryOfFile());
const ca = readFileSync(credential.caFile);
const tpm = softTpm();

/** What only the victim is ever told; nobody sends it. */
const canary = "canary";

interface Range {
  readonly desk: Desk;
  readonly port: number;
  readonly sessions: MqttSessions;
  readonly attackersKey: string;
  /** Of the victim, and finished. */
  readonly operationId: string;
  readonly agent: Agent;
}

/** A service with an attacker, who is enrolled, and a victim, who has registered. */
async function openRange(plant: (deviceApi: DeviceApi) => DeviceApi = (real) => real): Promise<Range> {
  const desk = openDesk();
  const { store, clock, log } = desk;
  const staged = stage(desk.api, { store, clock, log, retryAfterSeconds: 3, webhook: noWebhook });
  const deviceApi = plant(staged);
  const keys = [randomBytes(32).toString("base64"), randomBytes(32).toString("base64")] as const;
  const [attackersKey, victimsKey] = keys;
  const withKey = (primaryKey: string) => ({
    attestation: { type: "symmetricKey", symmetricKey: { primaryKey, secondaryKey: primaryKey } },
  });
  desk.enroll("attacker", withKey(attackersKey));
  desk.enroll("victim", {
    ...withKey(victimsKey),
    deviceId: `${canary}-device`,
    iotHubHostName: `${canary}.example`,
    allocationPolicy: "static",
    initialTwin: { tags: { secret: canary } },
  });
  desk.enroll("tpm", { attestation: { type: "tpm", tpm: { endorsementKey: tpm.endorsementKey } } });
  const authorization = desk.token("victim", victimsKey);
  const registered = await desk.ask({ registrationId: "victim", authorization });
  const { operationId } = registered.body;

  const sessions = mqttSessions({ deviceApi, clock, log });
  const server = await createHttpsServer({ credential, deviceApi, operatorApis: [], clock, log });
  const agent = new Agent({ keepAlive: true, maxSockets: 1, ca });
  onTestFinished(async () => {
    agent.destroy();
    sessions.closeAll();
    const closed = once(server, "close");
    server.close();
    (server as unknown as HttpServer).closeAllConnections();
    await closed;
  });
  const port = await listening(server as unknown as TlsServer);
  return { desk, port, sessions, attackersKey, operationId, agent };
}

const noWebhook = { ask: () => Promise.reject(new Error("nobody asks")) } as never;

/** The service has not failed, and has told nothing of the victim's. */
function expectHarmless({ desk }: Range, heard: string): void {
  expect(failuresIn(desk.log).join()).toBe("");
  expect(heard).not.toContain(canary);
}

const who = fc.constantFrom("attacker", "victim", "tpm", "nobody");

/** A SAS token of the attacker's making. */
const token = ({ desk, attackersKey }: Range): fc.Arbitrary<string> =>
  fc.oneof(
    { weight: 4, arbitrary: who.map((id) => desk.token(id, attackersKey)) },
    { weight: 1, arbitrary: who.map((id) => desk.token(id, attackersKey).replaceAll("%2F", "%2f")) },
    {
      weight: 2,
      arbitrary: spoiledBytes(fc.constant(desk.token("attacker", attackersKey))),
    },
    { weight: 1, arbitrary: text },
  );

const registration = (id: string): object => ({
  registrationId: id,
  tpm: { endorsementKey: tpm.endorsementKey, storageRootKey: tpm.storageRootKey },
  payload: { site: ["north", { line: 7 }] },
});

interface HttpsQuestion {
  readonly method: string;
  readonly path: string;
  readonly headers: Record<string, string>;
  readonly body: Bytes;
}

function httpsQuestion(range: Range): fc.Arbitrary<HttpsQuestion> {
  const { idScope } = range.desk.store;
  const tail = fc.oneof(
    { weight: 4, arbitrary: fc.constant("/register") },
    { weight: 3, arbitrary: segment(range.operationId).map((id) => `/operations/${id}`) },
    { weight: 2, arbitrary: fc.constant("") },
    { weight: 1, arbitrary: segment("register").map((each) => `/${each}`) },
  );
  const query = fc.oneof(
    { weight: 8, arbitrary: fc.constant("?api-version=2021-06-01") },
    { weight: 1, arbitrary: segment("2021-06-01").map((version) => `?api-version=${version}&api-version=`) },
    { weight: 1, arbitrary: segment("x").map((each) => `?${each}`) },
  );
  const headers = fc.record(
    {
      authorization: token(range).map(headerText),
      "content-type": fc.oneof(fc.constant("application/json"), text.map(headerText)),
      "content-encoding": fc.constantFrom("utf-8", "gzip", "identity"),
      "x-ms-request-id": text.map(headerText),
      host: fc.constantFrom("localhost", "", "evil.example:1", "[::1]"),
      expect: fc.constantFrom("100-continue", "200-ok"),
    },
    { requiredKeys: ["authorization"] },
  );
  return fc.tuple(segment(idScope), who.chain(segment), tail, query).chain(([scope, id, end, search]) =>
    fc.record({
      method: fc.oneof(
        { weight: 6, arbitrary: fc.constant(end === "/register" ? "PUT" : end === "" ? "POST" : "GET") },
        {
          weight: 1,
          arbitrary: fc.constantFrom("GET", "POST", "DELETE", "PATCH", "OPTIONS", "HEAD", "TRACE"),
        },
      ),
      path: fc.constant(`/${scope}/registrations/${id}${end}${search}`),
      headers: headers.map((each) => each as Record<string, string>),
      body: who.chain((id) => body(registration(id))),
    }),
  );
}

async function send(
  { port, agent }: Range,
  question: HttpsQuestion,
): Promise<{ status: number; text: string }> {
  const { body: sent, ...options } = question;
  const bytes = bufferOf(sent);
  const headers = { ...options.headers, "content-length": bytes.length };
  const asked = request({ host: "localhost", servername: "localhost", port, agent, ...options, headers });
  asked.end(bytes);
  const [response] = await once(asked, "response");
  let heard = `${response.rawHeaders.join("\n")}\n`;
  for await (const chunk of response) heard += chunk;
  return { status: response.statusCode, text: heard };
}

/** Mostly none. Those that end connections are left out, because the requests of a run share one. */
const scenario = fc.option(
  fc.constantFrom<Scenario>(
    { kind: "throttle", retryAfterSeconds: 1 },
    { kind: "assigning", polls: 1, times: 3 },
    { kind: "assigning-forever" },
    { kind: "duplicate" },
    { kind: "late", delayMs: 1 },
    { kind: "wrong-key" },
    { kind: "malformed-json" },
    { kind: "clock-skew", skewSeconds: -316_224_000 },
  ),
  { nil: undefined, freq: 2 },
);

function order({ desk }: Range, ordered: Scenario | undefined): void {
  desk.store.scenarios.delete("service");
  if (ordered) desk.store.scenarios.put({ target: "service", scenario: ordered });
}

const attackHttps = (range: Range, runs: number): Promise<void> =>
  fc.assert(
    fc.asyncProperty(httpsQuestion(range), scenario, async (question, ordered) => {
      order(range, ordered);
      const { status, text: heard } = await send(range, question);
      expect(status).toBeLessThan(500);
      expectHarmless(range, heard);
    }),
    effort(runs) as fc.Parameters<[HttpsQuestion, Scenario | undefined]>,
  );

describe("the device API over HTTPS", () => {
  it(
    "answers every question, and each without harm",
    async () => {
      await attackHttps(await openRange(), 700);
    },
    fuzzTimeoutMs,
  );

  it(
    "would be seen to fail, and to tell what is the victim's (the control)",
    async () => {
      const failing = await openRange((real) => ({
        ...real,
        handle: async (question) => {
          if (question.body.length === 0) throw new TypeError("planted");
          return real.handle(question);
        },
      }));
      expect(await faultOf(attackHttps(failing, 700))).toMatch(/seed.*(planted|500)/s);
      const leaking = await openRange((real) => ({
        ...real,
        handle: async (question) =>
          question.registrationId === "victim"
            ? { status: 200, body: { deviceId: `${canary}-device` }, requestId: "r" }
            : real.handle(question),
      }));
      expect(await faultOf(attackHttps(leaking, 700))).toMatch(/seed.*canary/s);
    },
    fuzzTimeoutMs,
  );

  it(
    "survives bytes that are hardly HTTP",
    async () => {
      const range = await openRange();
      const { idScope } = range.desk.store;
      const valid: Bytes =
        `PUT /${idScope}/registrations/attacker/register?api-version=2021-06-01 HTTP/1.1\r\nHost: localhost\r\n` +
        `Authorization: ${range.desk.token("attacker", range.attackersKey)}\r\nContent-Length: 2\r\n\r\n{}`;
      await fc.assert(
        fc.asyncProperty(spoiledBytes(fc.constant(valid)), async (bytes) => {
          const socket = connectTls({ host: "localhost", port: range.port, ca });
          let heard = "";
          socket.on("data", (chunk) => {
            heard += chunk;
          });
          const closed = new Promise((resolve) => socket.once("close", resolve));
          socket.on("error", () => {});
          socket.end(bufferOf(bytes));
          await closed;
          expect(heard).not.toMatch(/^HTTP\/1\.1 5/m);
          expectHarmless(range, heard);
        }),
        effort(150) as fc.Parameters<[Bytes]>,
      );
    },
    fuzzTimeoutMs,
  );
});

/** What a client of MQTT may send, much of it right. */
function mqttPackets(range: Range): fc.Arbitrary<Bytes> {
  const { idScope } = range.desk.store;
  const id = fc.integer({ min: 0, max: 65_535 });
  const connect = fc
    .record({ id: who, name: fc.option(segment("x"), { nil: undefined, freq: 5 }), password: token(range) })
    .map(
      ({ id: clientId, name, password }): Packet => ({
        cmd: "connect",
        protocolId: "MQTT",
        protocolVersion: 4,
        clean: true,
        clientId,
        username: `${idScope}/registrations/${name ?? clientId}/api-version=2019-03-31`,
        password: Buffer.from(password),
        keepalive: 60,
      }),
    );
  const topic = fc.oneof(
    {
      weight: 4,
      arbitrary: segment("1").map((rid) => `$dps/registrations/PUT/iotdps-register/?$rid=${rid}`),
    },
    {
      weight: 4,
      arbitrary: fc
        .tuple(segment("1"), segment(range.operationId))
        .map(
          ([rid, operationId]) =>
            `$dps/registrations/GET/iotdps-get-operationstatus/?$rid=${rid}&operationId=${operationId}`,
        ),
    },
    { weight: 1, arbitrary: text.filter((each) => each.length > 0 && !/[#+]/.test(each)) },
  );
  const publish = fc
    .record({
      topic,
      payload: body(registration("attacker")),
      qos: fc.constantFrom(0, 1, 1, 2),
      messageId: id,
    })
    .map((fields) => ({ cmd: "publish", dup: false, retain: false, ...fields }) as Packet);
  const subscribe = fc
    .record({
      topic: fc.oneof(fc.constant("$dps/registrations/res/#"), text),
      qos: fc.constantFrom(0, 1, 2),
      messageId: id,
    })
    .map(
      ({ messageId, ...subscription }) =>
        ({ cmd: "subscribe", messageId, subscriptions: [subscription] }) as Packet,
    );
  const other = fc.constantFrom<Packet>(
    { cmd: "pingreq" },
    { cmd: "puback", messageId: 1 },
    { cmd: "disconnect" },
    { cmd: "unsubscribe", messageId: 9, unsubscriptions: ["$dps/registrations/res/#"] },
  );
  const encoded = (packet: Packet): Buffer => {
    try {
      return mqttPacket.generate(packet);
    } catch {
      return Buffer.alloc(0); // even mqtt-packet will not write that
    }
  };
  const start: Packet = {
    cmd: "subscribe",
    messageId: 1,
    subscriptions: [{ topic: "$dps/registrations/res/#", qos: 1 }],
  };
  return fc
    .tuple(
      connect,
      fc.array(fc.oneof(publish, publish, publish, subscribe, other, connect), { maxLength: 8 }),
    )
    .map(([first, rest]) => bytesOf(Buffer.concat([first, start, ...rest].map(encoded))));
}

/** All that the service says to these bytes, as text of its packets' payloads. */
async function converse({ sessions }: Range, bytes: Bytes): Promise<{ packets: Packet[]; text: string }> {
  const [near, far] = duplexPair();
  const packets: Packet[] = [];
  const parser = mqttPacket.parser();
  parser.on("packet", (packet) => packets.push({ ...packet }));
  parser.on("error", (error: Error) => {
    throw error;
  });
  let heard = "";
  far.on("data", (chunk: Buffer) => {
    heard += chunk.toString("latin1");
    parser.parse(chunk);
  });
  far.on("error", () => {});
  const served = sessions.serve({ stream: near, transport: "mqtt", certificates: [] });
  far.end(bufferOf(bytes));
  await served;
  return { packets, text: heard };
}

const attackMqtt = (range: Range, runs: number): Promise<void> =>
  fc.assert(
    fc.asyncProperty(
      fc.oneof(
        { weight: 2, arbitrary: mqttPackets(range) },
        { weight: 1, arbitrary: spoiledBytes(mqttPackets(range)) },
      ),
      scenario,
      async (bytes, ordered) => {
        order(range, ordered);
        const { packets, text: heard } = await converse(range, bytes);
        for (const packet of packets) {
          if (packet.cmd === "publish") {
            expect(packet.topic).toMatch(/^\$dps\/registrations\/res\/[1-4]\d\d\/\?\$rid=/);
          } else expect(["connack", "suback", "unsuback", "puback", "pingresp"]).toContain(packet.cmd);
        }
        expectHarmless(range, heard);
      },
    ),
    effort(runs) as fc.Parameters<[Bytes, Scenario | undefined]>,
  );

describe("the device API over MQTT", () => {
  it(
    "answers or hangs up, and each without harm",
    async () => {
      await attackMqtt(await openRange(), 1500);
    },
    fuzzTimeoutMs,
  );

  it(
    "would be seen to fail (the control)",
    async () => {
      const failing = await openRange((real) => ({
        ...real,
        handle: async (question) => {
          if (question.operation === "operation") throw new TypeError("planted");
          return real.handle(question);
        },
      }));
      expect(await faultOf(attackMqtt(failing, 1500))).toMatch(/seed.*planted/s);
    },
    fuzzTimeoutMs,
  );
});
