// The local service, asked in the words of Azure's own SDKs: what each of them sends that others do not, and what each
// of them insists on in an answer. Written from their sources; none of our client is involved.

import { createHmac, randomBytes, randomUUID } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { Agent, type RequestOptions, request } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { IPublishPacket, Packet } from "mqtt-packet";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { createWebSocketStream, WebSocket } from "ws";
import type { RunningService } from "../../src/service/service.ts";
import { RawMqttClient, tlsConnection } from "../service/sockets.ts";
import { softTpm } from "../service/soft-tpm.ts";
import { type Issued, issue } from "../support/pki.ts";
import { startServiceHere } from "../support/service-in-process.ts";

let directory: string;
let service: RunningService;
let agent: Agent;
let device: Issued;
const key = randomBytes(32);
const tpm = softTpm();
const streams: { destroy(): unknown }[] = [];

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "mooring-contract-"));
  service = await startServiceHere(join(directory, "data"), { hubs: ["hub.example"] });
  device = issue(directory, "gw-x509");
  await enroll("gw-x509", {
    type: "x509",
    x509: { clientCertificates: { primary: { certificate: device.certificate } } },
  });
  const base64 = key.toString("base64");
  await enroll("Gw-Key", {
    type: "symmetricKey",
    symmetricKey: { primaryKey: base64, secondaryKey: base64 },
  });
  await enroll("gw-tpm", { type: "tpm", tpm: { endorsementKey: tpm.endorsementKey } });
  agent = new Agent({ keepAlive: true });
});
afterEach(() => {
  for (const stream of streams.splice(0)) stream.destroy();
});
afterAll(async () => {
  agent.destroy();
  await service.stop();
  rmSync(directory, { recursive: true });
});

interface Answer {
  readonly status: number;
  readonly headers: Record<string, string>;
  readonly body: Record<string, unknown>;
}

async function ask(method: string, path: string, options: RequestOptions, body = ""): Promise<Answer> {
  const { headers = {}, ...rest } = options;
  const sending = request({
    ...{ host: "localhost", port: service.httpsPort, ca: readFileSync(service.caFile), agent, method, path },
    ...rest,
    headers: { ...headers, "content-length": Buffer.byteLength(body) },
  });
  sending.end(body);
  const [response] = await once(sending, "response");
  let text = "";
  for await (const chunk of response) text += chunk;
  return {
    status: response.statusCode,
    headers: response.headers,
    body: text === "" ? {} : JSON.parse(text),
  };
}

async function enroll(registrationId: string, attestation: object): Promise<void> {
  const [, host = "", name = "", policyKey = ""] =
    /^HostName=([^;]+);SharedAccessKeyName=([^;]+);SharedAccessKey=(.+)$/.exec(service.connectionString) ??
    [];
  // azure-iot-sdk-node's service client writes the expiry in milliseconds.
  const signed = `${encodeURIComponent(host)}\n${Date.now() + 3_600_000}`;
  const [sr, se] = signed.split("\n");
  const sig = encodeURIComponent(hmac(Buffer.from(policyKey, "base64"), signed));
  const answer = await ask(
    "PUT",
    `/enrollments/${registrationId}?api-version=2021-10-01`,
    {
      agent: false,
      headers: { authorization: `SharedAccessSignature sr=${sr}&sig=${sig}&se=${se}&skn=${name}` },
    },
    JSON.stringify({ registrationId, attestation }),
  );
  expect(answer.status, JSON.stringify(answer.body)).toBe(200);
}

const hmac = (secret: Buffer, text: string): string =>
  createHmac("sha256", secret).update(text).digest("base64");
const inSeconds = (seconds: number): number => Math.floor(Date.now() / 1000) + seconds;

async function overTcp(withCertificate: boolean): Promise<RawMqttClient> {
  const credential = withCertificate ? { cert: device.certificate, key: device.key } : {};
  const socket = await tlsConnection(service.mqttPort, service.caFile, credential);
  streams.push(socket);
  return new RawMqttClient(socket);
}

async function overWebSocket(
  path: string,
  protocol: string,
): Promise<{ client: RawMqttClient; socket: WebSocket }> {
  const socket = new WebSocket(`wss://localhost:${service.httpsPort}${path}`, [protocol], {
    ca: readFileSync(service.caFile),
    cert: device.certificate,
    key: device.key,
  });
  await once(socket, "open");
  streams.push({ destroy: () => socket.terminate() });
  return { client: new RawMqttClient(createWebSocketStream(socket)), socket };
}

const registerTopic = "$dps/registrations/PUT/iotdps-register/?$rid=";
const pollTopic = "$dps/registrations/GET/iotdps-get-operationstatus/?$rid=";

/** The next packet, which has to be an answer; the rest of its topic behind the common prefix, and its JSON. */
async function answered(
  client: RawMqttClient,
): Promise<{ topic: string; body: Record<string, unknown>; packet: IPublishPacket }> {
  const packet = (await client.next()) as Packet;
  expect(packet.cmd).toBe("publish");
  const { topic, payload } = packet as IPublishPacket;
  const prefix = "$dps/registrations/res/";
  expect(topic.startsWith(prefix)).toBe(true);
  return {
    topic: topic.slice(prefix.length),
    body: JSON.parse(payload.toString()),
    packet: packet as IPublishPacket,
  };
}

const assignedTo = (registrationId: string): object => ({
  status: "assigned",
  registrationState: expect.objectContaining({
    ...{ registrationId, assignedHub: "hub.example", deviceId: registrationId, status: "assigned" },
  }),
});

describe("azure-iot-sdk-python", () => {
  it("registers with a token without skn, a null payload in spaced JSON, and polls with a space", async () => {
    const client = await overTcp(false);
    const sr = encodeURIComponent(`${service.idScope}/registrations/Gw-Key`);
    const se = inSeconds(3600);
    const sig = encodeURIComponent(hmac(key, `${sr}\n${se}`));
    await client.connect({
      clientId: "Gw-Key",
      username: `${service.idScope}/registrations/Gw-Key/api-version=2019-03-31&ClientVersion=azure-iot-device-provisioning-py%2F2.12.0%20%28python%203.11%3BLinux%29`,
      password: `SharedAccessSignature sr=${sr}&sig=${sig}&se=${se}`,
      keepalive: 1740,
    });
    await client.subscribe();
    const requestId = randomUUID();
    client.publish(`${registerTopic}${requestId}`, '{"registrationId": "Gw-Key", "payload": null}', {
      messageId: 2,
    });
    expect(await client.next()).toMatchObject({ cmd: "puback", messageId: 2 });
    const accepted = await answered(client);
    // It cuts the topic at its dollar signs, and takes the last piece for the properties.
    expect(`$${accepted.topic.split("$")[1]}`).toBe(`$rid=${requestId}&retry-after=3`);
    expect(accepted.topic.startsWith("202/?")).toBe(true);
    const { operationId } = accepted.body;
    client.publish(`${pollTopic}${randomUUID()}&operationId=${operationId}`, " ", { messageId: 3 });
    await client.next();
    const final = await answered(client);
    expect(final.body).toMatchObject(assignedTo("Gw-Key"));
    expect(final.body["operationId"]).toBe(operationId);
  });
});

describe("azure-iot-sdk-c", () => {
  async function converses(client: RawMqttClient): Promise<void> {
    await client.connect({
      clientId: "gw-x509",
      username: `${service.idScope}/registrations/gw-x509/api-version=2021-06-01&ClientVersion=1.13.0`,
      keepalive: 0,
    });
    await client.subscribe();
    const json = '{"registrationId":"gw-x509"}';
    // Its request ids are the packet numbers that it would have used; its PUBLISHes are QoS 0.
    client.publish(`${registerTopic}3`, json, { qos: 0 });
    const accepted = await answered(client);
    expect(accepted.topic).toBe("202/?$rid=3&retry-after=3");
    client.publish(`${pollTopic}4&operationId=${accepted.body["operationId"]}`, json, { qos: 0 });
    const final = await answered(client);
    expect(final.topic).toBe("200/?$rid=4");
    expect(final.body).toMatchObject(assignedTo("gw-x509"));
  }

  it("registers over MQTT at QoS 0, with packet numbers as request ids and its registration in every poll", async () => {
    await converses(await overTcp(true));
  });

  it("registers over WebSockets, whose subprotocol it writes in capitals", async () => {
    const { client, socket } = await overWebSocket("/$iothub/websocket", "MQTT");
    expect(socket.protocol).toBe("MQTT");
    await converses(client);
  });

  it("finds keyName and no status in a TPM's challenge, asked for with its own spelling of User-Agent", async () => {
    const challenge = await ask(
      "PUT",
      `/${service.idScope}/registrations/gw%2Dtpm/register?api-version=2021-06-01`,
      {
        headers: {
          UserAgent: "prov_device_client/1.0",
          Accept: "application/json",
          "Content-Type": "application/json; charset=utf-8",
        },
      },
      JSON.stringify({
        registrationId: "gw-tpm",
        tpm: { endorsementKey: tpm.endorsementKey, storageRootKey: tpm.storageRootKey },
      }),
    );
    expect(challenge.status).toBe(401);
    expect(challenge.body).toMatchObject({ keyName: "registration", authenticationKey: expect.any(String) });
    expect(Object.keys(challenge.body)).not.toContain("status");
    expect(Object.keys(challenge.body)).not.toContain("errorCode");
  });
});

describe("azure-sdk-for-c", () => {
  it("registers with an empty body, the request id 1 for ever, and a token encoded in lower case", async () => {
    const client = await overTcp(false);
    const sr = `${service.idScope}%2fregistrations%2fGw-Key`;
    const se = inSeconds(3600);
    const sig = hmac(key, `${sr}\n${se}`)
      .replaceAll("+", "%2B")
      .replaceAll("/", "%2F")
      .replaceAll("=", "%3D");
    await client.connect({
      clientId: "Gw-Key",
      username: `${service.idScope}/registrations/Gw-Key/api-version=2019-03-31`,
      password: `SharedAccessSignature sr=${sr}&sig=${sig}&se=${se}&skn=registration`,
      keepalive: 240,
    });
    await client.subscribe();
    client.publish(`${registerTopic}1`, "", { qos: 0 });
    const accepted = await answered(client);
    expect(accepted.topic).toBe("202/?$rid=1&retry-after=3");
    client.publish(`${pollTopic}1&operationId=${accepted.body["operationId"]}`, "", { qos: 0 });
    const final = await answered(client);
    expect(final.topic).toBe("200/?$rid=1");
    expect(final.body).toMatchObject(assignedTo("Gw-Key"));
  });

  it("hears of a wrong key on the topic, from a service that let it connect", async () => {
    const client = await overTcp(false);
    const connack = await client.connect({
      clientId: "Gw-Key",
      username: `${service.idScope}/registrations/Gw-Key/api-version=2019-03-31`,
      password: `SharedAccessSignature sr=${service.idScope}%2fregistrations%2fGw-Key&sig=AAAA&se=${inSeconds(60)}&skn=registration`,
    });
    expect(connack).toMatchObject({ cmd: "connack", returnCode: 0, sessionPresent: false });
    await client.subscribe();
    client.publish(`${registerTopic}1`, "", { qos: 0 });
    const refused = await answered(client);
    expect(refused.topic).toBe("401/?$rid=1");
    expect(Math.floor(Number(refused.body["errorCode"]) / 1000)).toBe(401);
    expect(refused.body).toMatchObject({
      trackingId: expect.any(String),
      message: expect.any(String),
      timestampUtc: expect.stringMatching(/Z$/),
    });
  });
});

describe("azure-iot-sdk-csharp", () => {
  it("registers over a WebSocket without a path, with an empty payload, and takes PUBACK before the answer", async () => {
    const { client, socket } = await overWebSocket("", "mqtt");
    expect(socket.protocol).toBe("mqtt");
    expect(
      await client.connect({
        clientId: "gw-x509",
        username: `${service.idScope}/registrations/gw-x509/api-version=2019-03-31&ClientVersion=.NET%2F1.19.0`,
        keepalive: 0,
      }),
    ).toMatchObject({ cmd: "connack", returnCode: 0, sessionPresent: false });
    expect(await client.subscribe()).toMatchObject({ cmd: "suback", granted: [1] });
    const converse = async (topic: string, messageId: number) => {
      client.publish(topic, "", { messageId });
      expect(await client.next()).toEqual(expect.objectContaining({ cmd: "puback", messageId }));
      const answer = await answered(client);
      expect(answer.packet.qos).toBe(1);
      client.send({ cmd: "puback", messageId: answer.packet.messageId as number });
      return answer;
    };
    const accepted = await converse(`${registerTopic}2`, 2);
    // Its regular expression for the topic of an answer.
    expect(accepted.topic).toMatch(/^202\/\?\$rid=2&retry-after=\d+$/i);
    const final = await converse(`${pollTopic}3&operationId=${accepted.body["operationId"]}`, 3);
    expect(final.body).toMatchObject(assignedTo("gw-x509"));
  });
});

describe("azure-iot-sdk-node", () => {
  it("registers over HTTPS with forceRegistration, and polls with {} in a GET", async () => {
    const credential = { cert: device.certificate, key: device.key };
    const headers = {
      Accept: "application/json",
      "Content-Type": "application/json; charset=utf-8",
      "User-Agent": "azure-iot-provisioning-device/1.9.3",
    };
    const path = `/${service.idScope}/registrations/gw-x509`;
    const version = "api-version=2019-03-31";
    const accepted = await ask(
      "PUT",
      `${path}/register?${version}&forceRegistration=true`,
      { ...credential, headers },
      '{"registrationId":"gw-x509"}',
    );
    expect(accepted.status).toBe(202);
    expect(accepted.headers["retry-after"]).toBe("3");
    expect(accepted.headers["content-type"]).toContain("application/json");
    const final = await ask(
      "GET",
      `${path}/operations/${accepted.body["operationId"]}?${version}`,
      { ...credential, headers },
      "{}",
    );
    expect(final.status).toBe(200);
    expect(final.body).toMatchObject(assignedTo("gw-x509"));
  });
});

describe("iot-identity-service", () => {
  it("proves its TPM with a lower-cased audience, no tpm in the second request, and one token of 30 s for all", async () => {
    const path = `/${service.idScope}/registrations/gw-tpm`;
    const version = "api-version=2021-06-01";
    const headers = { "content-type": "application/json" };
    const { endorsementKey, storageRootKey } = tpm;
    const challenge = await ask(
      "PUT",
      `${path}/register?${version}`,
      { headers },
      JSON.stringify({ registrationId: "gw-tpm", tpm: { endorsementKey, storageRootKey } }),
    );
    expect(challenge.status).toBe(401);
    const registrationKey = tpm.activate(String(challenge.body["authenticationKey"]));

    const audience = encodeURIComponent(`${service.idScope}/registrations/gw-tpm`.toLowerCase());
    const expiry = inSeconds(30);
    const signature = encodeURIComponent(hmac(registrationKey, `${audience}\n${expiry}`));
    const authorization = `SharedAccessSignature sr=${audience}&se=${expiry}&sig=${signature}&skn=registration`;
    const signed = { headers: { ...headers, authorization } };
    // Only 202 will do for an answer here, and `registrationState` is not optional while the status is assigning.
    const accepted = await ask("PUT", `${path}/register?${version}`, signed, '{"registrationId":"gw-tpm"}');
    expect(accepted.status).toBe(202);
    expect(accepted.body).toMatchObject({
      status: "assigning",
      operationId: expect.stringMatching(/^\d\.[0-9a-f]{16}\.[0-9a-f-]{36}$/),
    });
    const final = await ask("GET", `${path}/operations/${accepted.body["operationId"]}?${version}`, signed);
    expect(final.headers["content-type"]).toContain("application/json");
    expect(final.body).toMatchObject(assignedTo("gw-tpm"));
    const state = final.body["registrationState"] as { tpm: { authenticationKey: string } };
    expect(tpm.activate(state.tpm.authenticationKey)).toHaveLength(32);
  });
});

describe("curl, as Azure's documents show it", () => {
  it("registers with `Content-Encoding: utf-8`, which is no encoding at all", async () => {
    const sr = encodeURIComponent(`${service.idScope}/registrations/Gw-Key`);
    const se = inSeconds(3600);
    const sig = encodeURIComponent(hmac(key, `${sr}\n${se}`));
    const answer = await ask(
      "PUT",
      `/${service.idScope}/registrations/Gw-Key/register?api-version=2019-03-31`,
      {
        headers: {
          "Content-Type": "application/json",
          "Content-Encoding": "utf-8",
          Authorization: `SharedAccessSignature sr=${sr}&sig=${sig}&se=${se}&skn=registration`,
        },
      },
      '{"registrationId": "Gw-Key"}',
    );
    expect(answer).toMatchObject({ status: 202, body: { status: "assigning" } });
    // The order of a real trace, with the signature third.
    const lookup = await ask(
      "POST",
      `/${service.idScope}/registrations/Gw-Key?api-version=2019-03-31`,
      {
        headers: {
          "Content-Type": "application/json",
          Authorization: `SharedAccessSignature sr=${sr}&skn=registration&sig=${sig}&se=${se}`,
        },
      },
      '{"registrationId": "Gw-Key"}',
    );
    expect(lookup).toMatchObject({ status: 200, body: { assignedHub: "hub.example", status: "assigned" } });
  });
});
