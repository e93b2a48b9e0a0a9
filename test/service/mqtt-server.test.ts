import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer as createHttpsServer } from "node:https";
import type { Duplex } from "node:stream";
import type { Server } from "node:tls";
import type { IPublishPacket } from "mqtt-packet";
import { describe, expect, it, onTestFinished } from "vitest";
import { createWebSocketStream, WebSocket } from "ws";
import type { DeviceAnswer, DeviceApi } from "../../src/service/device-api.ts";
import { createMqttServer, mqttSessions } from "../../src/service/mqtt-server.ts";
import { tlsOptions } from "../../src/service/tls.ts";
import { acceptMqttOverWebSockets } from "../../src/service/websocket.ts";
import { systemClock } from "../../src/system/clock.ts";
import { silentLog } from "../../src/system/log.ts";
import {
  assigning,
  deviceCertificates,
  directoryOfFile,
  listening,
  RawMqttClient,
  recordingDeviceApi,
  serverCredential,
  tcpConnection,
  tlsConnection,
} from "./sockets.ts";

const directory = directoryOfFile();
const credential = serverCredential(directory);

// Literals of azure-sdk-for-c's tests: sdk/tests/iot/provisioning/test_az_iot_provisioning_client.c
const idScope = "0neFEEDC0DE";
const clientId = "myRegistrationId";
const username = "0neFEEDC0DE/registrations/myRegistrationId/api-version=2019-03-31";
const registerTopic = "$dps/registrations/PUT/iotdps-register/?$rid=1";
const pollTopic =
  "$dps/registrations/GET/iotdps-get-operationstatus/?$rid=1&operationId=4.d0a671905ea5b2c8.42d78160-4c78-479e-8be7-61d5e55dac0d";

interface Started {
  port: number;
  /** A new connection, before CONNECT. */
  dial: () => Promise<RawMqttClient>;
}

async function serveMqtt(
  deviceApi: DeviceApi,
  { greetingTimeoutMs }: { greetingTimeoutMs?: number } = {},
): Promise<Started> {
  const limits = greetingTimeoutMs === undefined ? {} : { greetingTimeoutMs };
  const sessions = mqttSessions({ deviceApi, clock: systemClock, log: silentLog, limits });
  const server = createMqttServer(credential, sessions);
  onTestFinished(() => stop(server, sessions.closeAll));
  const port = await listening(server);
  return { port, dial: async () => new RawMqttClient(await tlsConnection(port, credential.caFile)) };
}

async function stop(server: Server, closeAll: () => void): Promise<void> {
  const closed = once(server, "close");
  server.close();
  closeAll();
  await closed;
}

/** A device that has connected and subscribed. */
async function device(
  { dial }: Started,
  fields: { clientId?: string; username?: string; password?: string; keepalive?: number } = {},
): Promise<RawMqttClient> {
  const client = await dial();
  onTestFinished(() => void client.stream.destroy());
  expect(await client.connect({ clientId, username, ...fields })).toMatchObject({
    cmd: "connack",
    returnCode: 0,
  });
  expect(await client.subscribe()).toMatchObject({ cmd: "suback", granted: [1] });
  return client;
}

const isPublish = (packet: unknown): IPublishPacket => {
  expect(packet).toMatchObject({ cmd: "publish" });
  return packet as IPublishPacket;
};

describe("a registration over MQTT", () => {
  it("is answered byte by byte as DPS answers it", async () => {
    const { deviceApi, requests } = recordingDeviceApi();
    const client = await (await serveMqtt(deviceApi)).dial();
    await client.connect({ clientId, username });
    await client.subscribe();
    client.publish(registerTopic, '{"registrationId":"myRegistrationId"}');
    expect((await client.next())?.cmd).toBe("puback");
    await client.next();
    const topic = "$dps/registrations/res/202/?$rid=1&retry-after=3";
    const payload =
      '{"operationId":"4.d0a671905ea5b2c8.42d78160-4c78-479e-8be7-61d5e55dac0d","status":"assigning"}';
    const remaining = 2 + topic.length + 2 + payload.length;
    expect(client.bytes.toString("latin1")).toBe(
      Buffer.concat([
        Buffer.from("20020000", "hex"), // CONNACK: no session present, accepted
        Buffer.from("9003000101", "hex"), // SUBACK 1: QoS 1
        Buffer.from("40020002", "hex"), // PUBACK 2, before the answer
        Buffer.from([0x32, (remaining & 0x7f) | 0x80, remaining >> 7, 0, topic.length]), // PUBLISH at QoS 1
        Buffer.from(topic),
        Buffer.from("0001", "hex"), // its packet identifier
        Buffer.from(payload),
      ]).toString("latin1"),
    );
    expect(requests).toEqual([
      {
        transport: "mqtt",
        operation: "register",
        idScope,
        registrationId: clientId,
        apiVersion: "2019-03-31",
        body: Buffer.from('{"registrationId":"myRegistrationId"}'),
        certificates: [],
      },
    ]);
  });

  it("goes on with polls on the same connection", async () => {
    const { deviceApi, requests } = recordingDeviceApi(({ operation }) =>
      operation === "register" ? assigning : { status: 200, body: { status: "assigned" }, requestId: "r" },
    );
    const client = await device(await serveMqtt(deviceApi));
    client.publish(registerTopic);
    await client.next();
    await client.next();
    client.send({ cmd: "puback", messageId: 1 });
    client.publish(pollTopic, " ", { messageId: 3 });
    expect(await client.next()).toMatchObject({ cmd: "puback", messageId: 3 });
    expect(isPublish(await client.next())).toMatchObject({
      topic: "$dps/registrations/res/200/?$rid=1",
      messageId: 2,
      qos: 1,
    });
    expect(requests[1]).toMatchObject({
      operation: "operation",
      operationId: "4.d0a671905ea5b2c8.42d78160-4c78-479e-8be7-61d5e55dac0d",
    });
  });

  it.each([
    {
      sdk: "C",
      username: `${username}&ClientVersion=c/1.2.3`,
      qos: 0 as const,
      payload: '{"registrationId":"myRegistrationId"}',
    },
    { sdk: "C#", username: `${username}&ClientVersion=.NET%2F1.0`, qos: 1 as const, payload: "" },
    {
      sdk: "Python",
      username: `${username}&ClientVersion=azure-iot-device-iothub-py%2F2`,
      qos: 1 as const,
      payload: '{"payload": null, "registrationId": "myRegistrationId"}',
    },
    { sdk: "embedded C", username, qos: 0 as const, payload: "" },
  ])("works for the $sdk SDK's way of saying it", async ({ username, qos, payload }) => {
    const { deviceApi, requests } = recordingDeviceApi();
    const client = await device(await serveMqtt(deviceApi), { username });
    client.publish(registerTopic, payload, { qos });
    if (qos === 1) expect((await client.next())?.cmd).toBe("puback");
    expect(isPublish(await client.next()).topic).toBe("$dps/registrations/res/202/?$rid=1&retry-after=3");
    expect(requests[0]).toMatchObject({
      idScope,
      registrationId: clientId,
      apiVersion: "2019-03-31",
      body: Buffer.from(payload),
    });
  });

  // Request ids of azure-iot-sdk-python: tests/unit/provisioning/pipeline/test_mqtt_topic_provisioning.py
  it.each([
    "invalid%24request%3Fid",
    "invalid%20request%20id",
    "invalid%2Frequest%2Fid",
    "3226c2f7-3d30-425c-b83b-0c34335f8220",
    "%c3%A4",
  ])("gives the request id %s back as it came, right behind the question mark", async (rid) => {
    const client = await device(await serveMqtt(recordingDeviceApi().deviceApi));
    client.publish(`$dps/registrations/PUT/iotdps-register/?$rid=${rid}`, "", { qos: 0 });
    expect(isPublish(await client.next()).topic).toBe(
      `$dps/registrations/res/202/?$rid=${rid}&retry-after=3`,
    );
  });

  it("takes the operation id decoded and the properties in any order", async () => {
    const { deviceApi, requests } = recordingDeviceApi();
    const client = await device(await serveMqtt(deviceApi));
    client.publish(
      "$dps/registrations/GET/iotdps-get-operationstatus/?operationId=invalid%2Foperation%2Fid&$rid=7",
      "",
      { qos: 0 },
    );
    expect(isPublish(await client.next()).topic).toBe("$dps/registrations/res/202/?$rid=7&retry-after=3");
    expect(requests[0]?.operationId).toBe("invalid/operation/id");
  });

  it("carries the password as the SAS token and the client's whole chain, leaf first", async () => {
    const { deviceApi, requests } = recordingDeviceApi();
    const { port } = await serveMqtt(deviceApi);
    const certificates = deviceCertificates(directory, clientId);
    const socket = await tlsConnection(port, credential.caFile, {
      cert: certificates.chain,
      key: certificates.key,
    });
    const client = await device(
      { port, dial: async () => new RawMqttClient(socket) },
      { password: "SharedAccessSignature sr=x" },
    );
    client.publish(registerTopic, "", { qos: 0 });
    await client.next();
    expect(requests[0]?.authorization).toBe("SharedAccessSignature sr=x");
    const ders = certificates.parts.map((pem) =>
      Buffer.from(pem.replace(/-----[^-]+-----|\s/g, ""), "base64"),
    );
    expect(requests[0]?.certificates).toEqual(ders);
  });

  it("is refused on the topic, with the connection left open", async () => {
    const refused: DeviceAnswer = {
      status: 401,
      body: { errorCode: 401002, message: "Invalid certificate." },
      requestId: "r",
    };
    const client = await device(await serveMqtt(recordingDeviceApi(() => refused).deviceApi), {
      password: "wrong",
    });
    client.publish(registerTopic, "", { qos: 0 });
    const answer = isPublish(await client.next());
    expect(answer.topic).toBe("$dps/registrations/res/401/?$rid=1");
    expect(JSON.parse(answer.payload.toString())).toEqual(refused.body);
    client.send({ cmd: "pingreq" });
    expect((await client.next())?.cmd).toBe("pingresp");
  });

  it("answers 500 when the service itself fails, and keeps the device's connection", async () => {
    const { deviceApi } = recordingDeviceApi(() => Promise.reject(new Error("disk on fire")));
    const client = await device(await serveMqtt(deviceApi));
    client.publish(registerTopic, "", { qos: 0 });
    const answer = isPublish(await client.next());
    expect(answer.topic).toBe("$dps/registrations/res/500/?$rid=1");
    expect(JSON.parse(answer.payload.toString())).toMatchObject({ errorCode: 500000 });
    expect(answer.payload.toString()).not.toContain("disk on fire");
  });

  it.each([
    { mistake: "has no $rid", topic: "$dps/registrations/PUT/iotdps-register/?", payload: "", status: 400 },
    {
      mistake: "is larger than 96 KB",
      topic: registerTopic,
      payload: "x".repeat(96 * 1024 + 1),
      status: 413,
    },
  ])("is answered $status when it $mistake", async ({ topic, payload, status }) => {
    const { deviceApi, requests } = recordingDeviceApi();
    const client = await device(await serveMqtt(deviceApi));
    client.publish(topic, payload, { qos: 0 });
    const answer = isPublish(await client.next());
    expect(answer.topic).toMatch(new RegExp(`^\\$dps/registrations/res/${status}/\\?\\$rid=`));
    expect(JSON.parse(answer.payload.toString())).toMatchObject({
      errorCode: status * 1000,
      trackingId: expect.any(String),
    });
    expect(requests).toEqual([]);
  });

  it("takes a message of exactly 96 KB", async () => {
    const { deviceApi, requests } = recordingDeviceApi();
    const client = await device(await serveMqtt(deviceApi));
    client.publish(registerTopic, "x".repeat(96 * 1024));
    expect((await client.next())?.cmd).toBe("puback");
    await client.next();
    expect(requests[0]?.body.length).toBe(96 * 1024);
  });

  it("arrives whole when it comes a byte at a time", async () => {
    const { deviceApi, requests } = recordingDeviceApi();
    const client = await device(await serveMqtt(deviceApi));
    const topic = Buffer.from(registerTopic);
    const frame = Buffer.concat([
      Buffer.from([0x30, 2 + topic.length + 2, 0, topic.length]),
      topic,
      Buffer.from("{}"),
    ]);
    for (const byte of frame) client.send(Buffer.from([byte]));
    expect(isPublish(await client.next()).topic).toContain("/202/");
    expect(requests[0]?.body.toString()).toBe("{}");
  });
});

describe("CONNECT", () => {
  const serve = () => serveMqtt(recordingDeviceApi().deviceApi);

  it("is accepted with any credential, in any case, with a will, for a session that is never kept", async () => {
    const client = await (await serve()).dial();
    client.send({
      cmd: "connect",
      protocolId: "MQTT",
      protocolVersion: 4,
      clean: false,
      clientId: "MYREGISTRATIONID",
      username,
      password: Buffer.from("nonsense"),
      will: { topic: "a", payload: "b", qos: 1, retain: true },
    });
    await client.next();
    expect(client.bytes.toString("hex")).toBe("20020000");
  });

  it.each([
    { fault: "no user name", fields: { clientId }, code: 4 },
    {
      fault: "a user name of another service",
      fields: { clientId, username: "hub.example/device/?api-version=2021-04-12" },
      code: 4,
    },
    {
      fault: "a user name without its tail",
      fields: { clientId, username: "0neFEEDC0DE/registrations/myRegistrationId" },
      code: 4,
    },
    { fault: "another client id", fields: { clientId: "other", username }, code: 2 },
    { fault: "an empty client id", fields: { clientId: "", username }, code: 2 },
  ])("is refused with code $code for $fault, and the connection closed", async ({ fields, code }) => {
    const client = await (await serve()).dial();
    expect(await client.connect(fields)).toMatchObject({
      cmd: "connack",
      returnCode: code,
      sessionPresent: false,
    });
    expect(await client.next()).toBeUndefined();
    expect(client.bytes).toHaveLength(4);
  });

  it.each([
    { protocol: "MQTT 3.1", hex: "00064d51497364700302003c" },
    { protocol: "MQTT 5", hex: "00044d5154540502003c00" },
    { protocol: "a level nobody knows", hex: "00044d5154540902003c" },
  ])("is refused with code 1 for $protocol", async ({ hex }) => {
    const client = await (await serve()).dial();
    const body = Buffer.concat([Buffer.from(hex, "hex"), Buffer.from("000161", "hex")]);
    client.send(Buffer.concat([Buffer.from([0x10, body.length]), body]));
    expect(await client.next()).toMatchObject({ cmd: "connack" });
    expect(client.bytes.toString("hex")).toBe("20020001");
    expect(await client.next()).toBeUndefined();
  });

  it.each([
    { what: "another packet", bytes: "c000" },
    { what: "an unknown protocol", bytes: "100c00044d5154580402003c0000" },
    {
      what: "an HTTP request",
      bytes: Buffer.from(`GET / HTTP/1.1\r\nHost: ${"x".repeat(64)}\r\n\r\n`).toString("hex"),
    },
    { what: "a length of five bytes", bytes: "10ffffffff01" },
    { what: "a frame that claims 256 MB", bytes: "10ffffff7f" },
    { what: "a truncated CONNECT", bytes: "100400044d51" },
    { what: "an empty CONNECT", bytes: "1000" },
  ])("closes without a word on $what instead", async ({ bytes }) => {
    const client = await (await serve()).dial();
    client.send(Buffer.from(bytes, "hex"));
    expect(await client.next()).toBeUndefined();
    expect(client.bytes).toHaveLength(0);
  });

  it("closes a connection that stays silent, or stops in the middle", async () => {
    const started = await serveMqtt(recordingDeviceApi().deviceApi, { greetingTimeoutMs: 50 });
    const silent = await started.dial();
    const halfway = await started.dial();
    halfway.send(Buffer.from("1020", "hex"));
    expect(await silent.next()).toBeUndefined();
    expect(await halfway.next()).toBeUndefined();
  });

  it("survives a connection that never begins TLS", async () => {
    const started = await serve();
    const plain = await tcpConnection(started.port);
    plain.end("10");
    plain.resume();
    await once(plain, "close");
    await device(started);
  });

  it("is not waited for for ever when TLS never begins", async () => {
    const sessions = mqttSessions({ ...recordingDeviceApi(), clock: systemClock, log: silentLog });
    const server = createMqttServer(credential, sessions, { handshakeTimeoutMs: 50 });
    onTestFinished(() => stop(server, sessions.closeAll));
    const silent = await tcpConnection(await listening(server));
    silent.resume();
    await once(silent, "close");
  });
});

describe("a session", () => {
  const serve = () => serveMqtt(recordingDeviceApi().deviceApi);

  it("is not timed by the greeting once greeted, nor by a keep-alive of zero", async () => {
    const started = await serveMqtt(recordingDeviceApi().deviceApi, { greetingTimeoutMs: 500 });
    const client = await device(started, { keepalive: 0 });
    const silent = await started.dial();
    expect(await silent.next()).toBeUndefined(); // its time is up, and so would have been the other's
    client.send({ cmd: "pingreq" });
    expect((await client.next())?.cmd).toBe("pingresp");
  });

  it("ends after one and a half keep-alives of silence, counted from the last packet", async () => {
    const server = await serve();
    const before = performance.now();
    const client = await device(server, { keepalive: 1 });
    expect(await client.next()).toBeUndefined();
    expect(performance.now() - before).toBeGreaterThan(1400);
    expect(performance.now() - before).toBeLessThan(10_000);
  });

  it("grants the one filter that DPS has, at most at QoS 1, and no other", async () => {
    const client = await (await serve()).dial();
    await client.connect({ clientId, username });
    client.send({
      cmd: "subscribe",
      messageId: 9,
      subscriptions: [
        { topic: "$dps/registrations/res/#", qos: 2 },
        { topic: "#", qos: 0 },
        { topic: "$dps/registrations/+/#", qos: 1 },
      ],
    });
    expect(await client.next()).toMatchObject({ cmd: "suback", messageId: 9, granted: [1, 0x80, 0x80] });
  });

  it("answers at QoS 0 to who subscribed at QoS 0", async () => {
    const client = await (await serve()).dial();
    await client.connect({ clientId, username });
    expect(await client.subscribe(undefined, 0)).toMatchObject({ granted: [0] });
    client.publish(registerTopic);
    expect((await client.next())?.cmd).toBe("puback");
    expect(isPublish(await client.next()).qos).toBe(0);
  });

  it("does what it is asked but has nowhere to answer before SUBSCRIBE and after UNSUBSCRIBE", async () => {
    const { deviceApi, requests } = recordingDeviceApi();
    const client = await (await serveMqtt(deviceApi)).dial();
    await client.connect({ clientId, username });
    client.publish(registerTopic);
    expect((await client.next())?.cmd).toBe("puback");
    await client.subscribe();
    client.send({ cmd: "unsubscribe", messageId: 5, unsubscriptions: ["$dps/registrations/res/#"] });
    expect(await client.next()).toMatchObject({ cmd: "unsuback", messageId: 5 });
    client.publish(registerTopic, "", { messageId: 6 });
    expect(await client.next()).toMatchObject({ cmd: "puback", messageId: 6 });
    client.send({ cmd: "pingreq" });
    expect((await client.next())?.cmd).toBe("pingresp");
    expect(requests).toHaveLength(2);
  });

  it.each([
    {
      what: "PUBLISH at QoS 2",
      bytes: `3434002e${Buffer.from(registerTopic).toString("hex")}00027b7d`,
    },
    { what: "PUBLISH to another topic", bytes: "30050003612f62" },
    { what: "PUBLISH to a topic with a wildcard", bytes: "30050003612f23" },
    {
      what: "PUBLISH with a packet identifier of zero",
      bytes: `3232002e${Buffer.from(registerTopic).toString("hex")}0000`,
    },
    { what: "a second CONNECT", bytes: "100d00044d5154540402003c000161" },
    { what: "SUBSCRIBE without a filter", bytes: "82020001" },
    { what: "a reserved packet type", bytes: "f000" },
    { what: "a packet of the server's", bytes: "20020000" },
    { what: "PUBREL", bytes: "62020001" },
  ])("closes on $what", async ({ bytes }) => {
    const { deviceApi, requests } = recordingDeviceApi();
    const client = await device(await serveMqtt(deviceApi));
    const heard = client.bytes.length;
    client.send(Buffer.from(bytes, "hex"));
    expect(await client.next()).toBeUndefined();
    expect(client.bytes).toHaveLength(heard);
    expect(requests).toEqual([]);
  });

  it("ends with DISCONNECT, and what comes after it is not heard", async () => {
    const { deviceApi, requests } = recordingDeviceApi();
    const client = await device(await serveMqtt(deviceApi));
    client.send({ cmd: "disconnect" });
    client.publish(registerTopic);
    expect(await client.next()).toBeUndefined();
    expect(requests).toEqual([]);
  });
});

describe("devices among each other", () => {
  it("get their own answers and nobody else's", async () => {
    const { deviceApi } = recordingDeviceApi(({ registrationId }) => ({
      status: 200,
      body: { registrationId },
      requestId: "r",
    }));
    const started = await serveMqtt(deviceApi);
    const names = ["gw-1", "gw-2", "gw-3", "gw-4"];
    const devices = await Promise.all(
      names.map((name) =>
        device(started, {
          clientId: name,
          username: `${idScope}/registrations/${name}/api-version=2019-03-31`,
        }),
      ),
    );
    const rounds = 20;
    for (let round = 0; round < rounds; round++) {
      for (const client of devices) client.publish(registerTopic, "", { qos: 0 });
    }
    for (const [index, client] of devices.entries()) {
      for (let round = 0; round < rounds; round++) {
        const answer = isPublish(await client.next());
        expect(JSON.parse(answer.payload.toString())).toEqual({ registrationId: names[index] });
      }
      client.send({ cmd: "pingreq" });
      expect((await client.next())?.cmd).toBe("pingresp");
    }
  });

  it("take a name over without the answers to the one before", async () => {
    let release: (answer: DeviceAnswer) => void = () => {};
    const asked = Promise.withResolvers<void>();
    const { deviceApi } = recordingDeviceApi(({ certificates: _, body }) => {
      if (body.length === 0) return { status: 200, body: "second's", requestId: "r" };
      asked.resolve();
      return new Promise((resolve) => {
        release = resolve;
      });
    });
    const started = await serveMqtt(deviceApi);
    const first = await device(started);
    first.publish(registerTopic, "first's", { qos: 0 });
    await asked.promise;
    const second = await device(started, { clientId: clientId.toUpperCase() });
    expect(await first.next()).toBeUndefined();
    release({ status: 200, body: "first's", requestId: "r" });
    second.publish(registerTopic, "", { qos: 0 });
    expect(isPublish(await second.next()).payload.toString()).toBe('"second\'s"');
  });

  it("keep apart under the same name in different id scopes", async () => {
    const started = await serveMqtt(recordingDeviceApi().deviceApi);
    const first = await device(started);
    await device(started, { username: "0neOTHER/registrations/myRegistrationId/api-version=2019-03-31" });
    first.send({ cmd: "pingreq" });
    expect((await first.next())?.cmd).toBe("pingresp");
  });

  it("are not held up by one that never reads", async () => {
    const { deviceApi } = recordingDeviceApi(() => ({
      status: 200,
      body: "x".repeat(64 * 1024),
      requestId: "r",
    }));
    const started = await serveMqtt(deviceApi);
    const deaf = await device(started, {
      clientId: "deaf",
      username: `${idScope}/registrations/deaf/api-version=2019-03-31`,
    });
    deaf.stream.pause();
    for (let request = 0; request < 200; request++) deaf.publish(registerTopic, "", { qos: 0 });
    const other = await device(started);
    other.publish(registerTopic, "", { qos: 0 });
    expect(isPublish(await other.next()).topic).toContain("/200/");
  });
});

describe("MQTT over WebSockets", () => {
  async function serveWebSockets(deviceApi: DeviceApi): Promise<{ url: string }> {
    const sessions = mqttSessions({ deviceApi, clock: systemClock, log: silentLog });
    const server = createHttpsServer(tlsOptions(credential), (_request, response) => response.end());
    acceptMqttOverWebSockets(server, sessions);
    onTestFinished(() => stop(server, sessions.closeAll));
    return { url: `wss://127.0.0.1:${await listening(server)}` };
  }

  const ca = readFileSync(credential.caFile);

  it.each([
    { client: "C", path: "/$iothub/websocket", protocol: "MQTT" },
    { client: "C#", path: "/", protocol: "mqtt" },
    { client: "Node", path: "/$iothub/websocket?iothub-no-client-cert=true", protocol: "mqtt" },
  ])("welcomes the $client SDK at $path with the subprotocol $protocol", async ({ path, protocol }) => {
    const { deviceApi, requests } = recordingDeviceApi();
    const { url } = await serveWebSockets(deviceApi);
    const certificates = deviceCertificates(directory, clientId);
    const webSocket = new WebSocket(`${url}${path}`, [protocol], {
      ca,
      cert: certificates.chain,
      key: certificates.key,
    });
    await once(webSocket, "open");
    expect(webSocket.protocol).toBe(protocol);
    const stream: Duplex = createWebSocketStream(webSocket);
    const client = await device({ port: 0, dial: async () => new RawMqttClient(stream) });
    client.publish(registerTopic);
    expect((await client.next())?.cmd).toBe("puback");
    expect(isPublish(await client.next()).topic).toBe("$dps/registrations/res/202/?$rid=1&retry-after=3");
    expect(requests[0]?.transport).toBe("mqtt-ws");
    expect(requests[0]?.certificates).toHaveLength(3);
    client.send({ cmd: "disconnect" });
    expect(await client.next()).toBeUndefined();
  });

  it.each([{ offered: [] }, { offered: ["mqttv3.1"] }, { offered: ["wamp", "amqp"] }])(
    "refuses who offers $offered",
    async ({ offered }) => {
      const { url } = await serveWebSockets(recordingDeviceApi().deviceApi);
      const webSocket = new WebSocket(url, offered, { ca });
      const [error] = (await once(webSocket, "error")) as [Error];
      expect(error.message).toContain("400");
    },
  );

  it("takes packets however frames cut them, and closes on text", async () => {
    const { url } = await serveWebSockets(recordingDeviceApi().deviceApi);
    const webSocket = new WebSocket(url, ["mqtt"], { ca });
    await once(webSocket, "open");
    for (const byte of Buffer.from("100c00044d51545404", "hex")) webSocket.send(Buffer.from([byte]));
    webSocket.send("text");
    await once(webSocket, "close");
  });
});
