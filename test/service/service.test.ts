import { spawn } from "node:child_process";
import { createHmac, randomBytes } from "node:crypto";
import { once } from "node:events";
import { readFileSync, statSync } from "node:fs";
import { Agent, createServer as createHttpsServer, request as httpsRequest } from "node:https";
import { type AddressInfo, createServer } from "node:net";
import { join } from "node:path";
import { json } from "node:stream/consumers";
import { pathToFileURL } from "node:url";
import { beforeEach, describe, expect, it, onTestFinished, vi } from "vitest";
import { createWebSocketStream, WebSocket } from "ws";
import { lockDataDirectory } from "../../src/service/data-directory.ts";
import type { RunningService, ServiceOptions } from "../../src/service/service.ts";
import { systemClock } from "../../src/system/clock.ts";
import { startServiceHere } from "../support/service-in-process.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";
import { listen, selfSigned } from "../support/tls-server.ts";
import { deviceCertificates, RawMqttClient, tcpConnection, tlsConnection } from "./sockets.ts";

let directory: string;
let dataDirectory: string;

beforeEach(() => {
  directory = temporaryDirectory();
  dataDirectory = join(directory, "dps");
});

async function start(options: Partial<ServiceOptions> = {}): Promise<RunningService> {
  const service = await startServiceHere(dataDirectory, { hubs: ["lab.example"], ...options });
  onTestFinished(service.stop);
  return service;
}

interface Answer {
  status: number;
  body: { operationId?: string; status?: string; registrationState?: Record<string, unknown> };
}

async function ask(
  service: RunningService,
  method: string,
  path: string,
  {
    body,
    authorization,
    ...options
  }: { body?: unknown; authorization?: string; cert?: string; key?: string; agent?: Agent } = {},
): Promise<Answer> {
  const request = httpsRequest({
    host: "localhost",
    port: service.httpsPort,
    ca: readFileSync(service.caFile),
    method,
    path,
    agent: false,
    headers: authorization === undefined ? {} : { authorization },
    ...options,
  });
  request.end(body === undefined ? undefined : JSON.stringify(body));
  const [response] = await once(request, "response");
  let text = "";
  for await (const chunk of response) text += chunk;
  return { status: response.statusCode, body: text === "" ? {} : JSON.parse(text) };
}

function sasToken(resource: string, key: string, keyName: string): string {
  const sr = encodeURIComponent(resource);
  const se = Math.floor(Date.now() / 1000) + 600;
  const sig = createHmac("sha256", Buffer.from(key, "base64")).update(`${sr}\n${se}`).digest("base64");
  return `SharedAccessSignature sr=${sr}&sig=${encodeURIComponent(sig)}&se=${se}&skn=${keyName}`;
}

/** As the operator, with the service's own connection string. */
async function enroll(service: RunningService, path: string, record: unknown): Promise<void> {
  const [, host = "", name = "", key = ""] =
    /^HostName=([^;]+);SharedAccessKeyName=([^;]+);SharedAccessKey=(.+)$/.exec(service.connectionString) ??
    [];
  expect(host).toBe(`localhost:${service.httpsPort}`);
  const authorization = sasToken(host, key, name);
  const answer = await ask(service, "PUT", `${path}?api-version=2021-10-01`, { body: record, authorization });
  expect(answer.status, JSON.stringify(answer.body)).toBe(200);
}

describe("a service that starts", () => {
  it("says where it is and keeps its secrets to itself", async () => {
    const service = await start();
    expect(service.idScope).toMatch(/^0ne[0-9A-F]{8}$/);
    expect(readFileSync(service.connectionStringFile, "utf8")).toBe(`${service.connectionString}\n`);
    const modes = Object.fromEntries(
      [
        "ca.pem",
        "server.pem",
        "ca-key.pem",
        "server-key.pem",
        "connection-string",
        "service.db",
        "service.db-wal",
      ].map((name) => [name, (statSync(join(dataDirectory, name)).mode & 0o777).toString(8)]),
    );
    expect(modes).toEqual({
      "ca.pem": "644",
      "server.pem": "644",
      "ca-key.pem": "600",
      "server-key.pem": "600",
      "connection-string": "600",
      "service.db": "600",
      "service.db-wal": "600",
    });
  });

  it("is the same service after a restart", async () => {
    const first = await start();
    const ca = readFileSync(first.caFile, "utf8");
    await enroll(first, "/enrollments/gw-1", {
      registrationId: "gw-1",
      attestation: { type: "symmetricKey" },
    });
    await first.stop();
    const second = await start();
    expect(second.idScope).toBe(first.idScope);
    expect(readFileSync(second.caFile, "utf8")).toBe(ca);
    const keyOf = ({ connectionString }: RunningService): string =>
      connectionString.replace(/^HostName=[^;]+;/, "");
    expect(keyOf(second)).toBe(keyOf(first));
    await enroll(second, "/enrollments/gw-1", {
      registrationId: "gw-1",
      attestation: { type: "symmetricKey" },
    });
  });

  it("is certified for the names it is given", async () => {
    const service = await start({ hostnames: ["dps.example"] });
    const socket = await tlsConnection(service.httpsPort, service.caFile, { servername: "dps.example" });
    expect(socket.authorized).toBe(true);
    socket.destroy();
  });
});

it("renews the server certificate of a service that runs for more than a year", async () => {
  vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] });
  onTestFinished(() => void vi.useRealTimers());
  const aYear = 370 * 24 * 60 * 60 * 1000;
  let now = Date.now() - aYear;
  const service = await start({ clock: { ...systemClock, now: () => now } });
  const validTo = async (port: number): Promise<number> => {
    const socket = await tlsConnection(port, service.caFile);
    const { valid_to: validTo } = socket.getPeerCertificate();
    socket.destroy();
    return Date.parse(validTo);
  };
  const ports = [service.httpsPort, service.mqttPort];
  const before = await Promise.all(ports.map(validTo));
  vi.advanceTimersByTime(24 * 60 * 60 * 1000);
  expect(await Promise.all(ports.map(validTo))).toEqual(before);
  now += aYear;
  vi.advanceTimersByTime(24 * 60 * 60 * 1000);
  const after = await Promise.all(ports.map(validTo));
  expect(after).toEqual(before.map((ms) => ms + aYear));
});

describe("devices", () => {
  const topic = "$dps/registrations/PUT/iotdps-register/?$rid=1";
  const user = ({ idScope }: RunningService, id: string): string =>
    `${idScope}/registrations/${id}/api-version=2019-03-31`;

  async function registerOverMqtt(
    client: RawMqttClient,
    service: RunningService,
    id: string,
    password?: string,
  ): Promise<Answer["body"]> {
    const secret = password === undefined ? {} : { password };
    await client.connect({ clientId: id, username: user(service, id), ...secret });
    await client.subscribe();
    client.publish(topic, JSON.stringify({ registrationId: id }), { qos: 0 });
    const accepted = (await client.next()) as { topic: string; payload: Buffer };
    expect(accepted.topic).toBe("$dps/registrations/res/202/?$rid=1&retry-after=3");
    const { operationId } = JSON.parse(accepted.payload.toString());
    client.publish(
      `$dps/registrations/GET/iotdps-get-operationstatus/?$rid=2&operationId=${operationId}`,
      " ",
      { qos: 0 },
    );
    const final = (await client.next()) as { topic: string; payload: Buffer };
    expect(final.topic).toBe("$dps/registrations/res/200/?$rid=2");
    client.send({ cmd: "disconnect" });
    return JSON.parse(final.payload.toString());
  }

  it("register with an X.509 certificate of an enrolled CA through every door", async () => {
    const service = await start();
    const { chain, key, parts } = deviceCertificates(directory, "gw-1");
    await enroll(service, "/enrollmentGroups/plant", {
      enrollmentGroupId: "plant",
      attestation: { type: "x509", x509: { signingCertificates: { primary: { certificate: parts[2] } } } },
    });
    const assigned = {
      status: "assigned",
      registrationState: {
        registrationId: "gw-1",
        assignedHub: "lab.example",
        deviceId: "gw-1",
        status: "assigned",
      },
    };

    const path = `/${service.idScope}/registrations/gw-1`;
    const agent = new Agent({ keepAlive: true });
    onTestFinished(() => agent.destroy());
    const accepted = await ask(service, "PUT", `${path}/register?api-version=2021-06-01`, {
      body: {},
      cert: chain,
      key,
      agent,
    });
    expect(accepted).toMatchObject({ status: 202, body: { status: "assigning" } });
    const poll = `${path}/operations/${accepted.body.operationId}?api-version=2021-06-01`;
    expect(await ask(service, "GET", poll, { cert: chain, key, agent })).toMatchObject({
      status: 200,
      body: assigned,
    });

    const mqtt = new RawMqttClient(
      await tlsConnection(service.mqttPort, service.caFile, { cert: chain, key }),
    );
    expect(await registerOverMqtt(mqtt, service, "gw-1")).toMatchObject(assigned);

    const webSocket = new WebSocket(`wss://localhost:${service.httpsPort}/$iothub/websocket`, ["mqtt"], {
      ca: readFileSync(service.caFile),
      cert: chain,
      key,
    });
    await once(webSocket, "open");
    expect(
      await registerOverMqtt(new RawMqttClient(createWebSocketStream(webSocket)), service, "gw-1"),
    ).toMatchObject(assigned);
  });

  it("register with a symmetric key over MQTT", async () => {
    const service = await start();
    const primaryKey = randomBytes(32).toString("base64");
    await enroll(service, "/enrollments/gw-2", {
      registrationId: "gw-2",
      attestation: { type: "symmetricKey", symmetricKey: { primaryKey, secondaryKey: primaryKey } },
    });
    const client = new RawMqttClient(await tlsConnection(service.mqttPort, service.caFile));
    const password = sasToken(`${service.idScope}/registrations/gw-2`, primaryKey, "registration");
    expect(await registerOverMqtt(client, service, "gw-2", password)).toMatchObject({ status: "assigned" });
  });

  it("are told over MQTT as well when they are one too many, and when to come again", async () => {
    const service = await start();
    const primaryKey = randomBytes(32).toString("base64");
    await enroll(service, "/enrollments/gw-2", {
      registrationId: "gw-2",
      attestation: { type: "symmetricKey", symmetricKey: { primaryKey, secondaryKey: primaryKey } },
    });
    await enroll(service, "/mooring/quotas", { registrationsPerMinute: 1, serviceCallsPerMinute: null });
    const password = sasToken(`${service.idScope}/registrations/gw-2`, primaryKey, "registration");
    const connect = async () => new RawMqttClient(await tlsConnection(service.mqttPort, service.caFile));
    expect(await registerOverMqtt(await connect(), service, "gw-2", password)).toMatchObject({
      status: "assigned",
    });
    const client = await connect();
    await client.connect({ clientId: "gw-2", username: user(service, "gw-2"), password });
    await client.subscribe();
    client.publish(topic, "", { qos: 0 });
    const refused = (await client.next()) as { topic: string; payload: Buffer };
    expect(refused.topic).toMatch(/^\$dps\/registrations\/res\/429\/\?\$rid=1&retry-after=[1-6]?\d$/);
    expect(JSON.parse(refused.payload.toString())).toMatchObject({ errorCode: 429001 });
    client.send({ cmd: "disconnect" });
  });
});

it("asks a webhook that it was told to trust, while the device polls", async () => {
  const { certificate, privateKey } = selfSigned("webhook");
  const webhook = createHttpsServer({ cert: certificate, key: privateKey }, async (request, response) => {
    const { linkedHubs } = (await json(request)) as { linkedHubs: string[] };
    response.end(JSON.stringify({ iotHubHostName: linkedHubs[0], payload: { from: "webhook" } }));
  });
  onTestFinished(() => void webhook.close());
  const webhookUrl = `https://localhost:${await listen(webhook)}/`;
  const service = await start({ webhookCa: certificate, retryAfterSeconds: 0 });
  const primaryKey = randomBytes(32).toString("base64");
  await enroll(service, "/enrollments/gw-3", {
    registrationId: "gw-3",
    attestation: { type: "symmetricKey", symmetricKey: { primaryKey, secondaryKey: primaryKey } },
    allocationPolicy: "custom",
    customAllocationDefinition: { webhookUrl, apiVersion: "2021-10-01" },
  });
  const path = `/${service.idScope}/registrations/gw-3`;
  const authorization = sasToken(path.slice(1), primaryKey, "registration");
  const accepted = await ask(service, "PUT", `${path}/register?api-version=2021-06-01`, { authorization });
  expect(accepted.status).toBe(202);
  const poll = `${path}/operations/${accepted.body.operationId}?api-version=2021-06-01`;
  let answer = accepted;
  while (answer.status === 202) answer = await ask(service, "GET", poll, { authorization });
  expect(answer.body.registrationState).toMatchObject({
    assignedHub: "lab.example",
    payload: { from: "webhook" },
  });
});

it("writes its connection string anew when the key in it is replaced", async () => {
  const service = await start();
  const before = service.connectionString;
  const [, host = "", name = "", key = ""] =
    /^HostName=([^;]+);SharedAccessKeyName=([^;]+);SharedAccessKey=(.+)$/.exec(before) ?? [];
  const authorization = sasToken(host, key, name);
  await ask(service, "POST", `/mooring/policies/${name}/rotate`, { body: { key: "primary" }, authorization });
  expect(service.connectionString).not.toBe(before);
  expect(readFileSync(service.connectionStringFile, "utf8")).toBe(`${service.connectionString}\n`);
  await enroll(service, "/enrollments/gw-1", { attestation: { type: "symmetricKey" } });
});

describe("a service that cannot start", () => {
  it.each(["httpsPort", "mqttPort"] as const)(
    "names the taken port (%s) and keeps nothing open",
    async (which) => {
      const squatter = createServer().listen(0, "127.0.0.1");
      await once(squatter, "listening");
      onTestFinished(() => void squatter.close());
      const { port } = squatter.address() as AddressInfo;
      await expect(start({ [which]: port })).rejects.toMatchObject({
        code: "ERR_SERVICE_START",
        message: expect.stringContaining(
          `127.0.0.1 port ${port} for ${which === "httpsPort" ? "HTTPS" : "MQTT"}`,
        ),
        hint: expect.stringContaining(which === "httpsPort" ? "--https-port" : "--mqtt-port"),
      });
      await start();
    },
  );

  it("names an address that this machine has not", async () => {
    await expect(start({ host: "192.0.2.1" })).rejects.toMatchObject({
      code: "ERR_SERVICE_START",
      message: expect.stringContaining("192.0.2.1"),
      hint: expect.stringContaining("--host"),
    });
  });

  it("leaves a data directory alone that another service has, and takes it when that one stops", async () => {
    const first = await start();
    await expect(start()).rejects.toMatchObject({
      code: "ERR_SERVICE_START",
      message: expect.stringContaining(dataDirectory),
    });
    await first.stop();
    await start();
  });

  it("gets the data directory of a process that was killed", async () => {
    const module = pathToFileURL("src/service/data-directory.ts").href;
    const hold = `(await import(${JSON.stringify(module)})).lockDataDirectory(process.argv[1]); gc(); console.log("held"); setInterval(() => {}, 1000);`;
    const holder = spawn(
      process.execPath,
      ["--expose-gc", "--input-type=module", "-e", hold, dataDirectory],
      {
        stdio: ["ignore", "pipe", "inherit"],
      },
    );
    const ended = once(holder, "exit");
    try {
      await once(holder.stdout, "data");
      expect(() => lockDataDirectory(dataDirectory)).toThrow(
        expect.objectContaining({ code: "ERR_SERVICE_START" }),
      );
    } finally {
      holder.kill("SIGKILL");
      await ended;
    }
    lockDataDirectory(dataDirectory).release();
  });

  it("names a data directory that cannot be one", async () => {
    await expect(start({ dataDirectory: "/dev/null/dps" })).rejects.toMatchObject({
      code: "ERR_SERVICE_START",
      message: "cannot use the data directory /dev/null/dps",
      hint: expect.stringContaining("--data"),
    });
  });
});

describe("a service that stops", () => {
  it("lets go of every kind of connection in less than two seconds", async () => {
    const service = await start();
    const mqtt = new RawMqttClient(await tlsConnection(service.mqttPort, service.caFile));
    await mqtt.connect({
      clientId: "a",
      username: `${service.idScope}/registrations/a/api-version=2019-03-31`,
    });
    const ungreeted = new RawMqttClient(await tlsConnection(service.mqttPort, service.caFile));
    const webSocket = new WebSocket(`wss://localhost:${service.httpsPort}/`, ["mqtt"], {
      ca: readFileSync(service.caFile),
    });
    await once(webSocket, "open");
    webSocket.on("error", () => {});
    const handshaking = [await tcpConnection(service.mqttPort), await tcpConnection(service.httpsPort)];
    for (const socket of handshaking) socket.on("error", () => {});
    const agent = new Agent({ keepAlive: true });
    await ask(service, "GET", "/", { agent });
    const halfRequest = await tlsConnection(service.httpsPort, service.caFile);
    halfRequest.on("error", () => {});
    halfRequest.write(
      "PUT /x/registrations/y/register?api-version=2021-06-01 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n{",
    );

    const before = performance.now();
    await service.stop();
    expect(performance.now() - before).toBeLessThan(2000);
    expect([await mqtt.next(), await ungreeted.next()]).toEqual([undefined, undefined]);
    await expect(tcpConnection(service.mqttPort)).rejects.toThrow("ECONNREFUSED");
    await expect(tcpConnection(service.httpsPort)).rejects.toThrow("ECONNREFUSED");
    agent.destroy();
  });

  it("can be told twice", async () => {
    const service = await start();
    await Promise.all([service.stop(), service.stop()]);
    await service.stop();
  });
});
