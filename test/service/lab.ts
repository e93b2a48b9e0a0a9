// A whole service in the test's process, its operator, and devices that speak raw HTTPS and raw MQTT: they show what
// travels, and do nothing by themselves.

import { createHmac, randomBytes } from "node:crypto";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import type { IncomingHttpHeaders } from "node:http";
import { type RequestOptions, request } from "node:https";
import { join } from "node:path";
import type { IPublishPacket } from "mqtt-packet";
import { expect, onTestFinished } from "vitest";
import type { RunningService, ServiceOptions } from "../../src/service/service.ts";
import { type RecordingLog, recordingLog } from "../support/recording-log.ts";
import { startServiceHere } from "../support/service-in-process.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";
import { RawMqttClient, tlsConnection } from "./sockets.ts";

interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  /** As it came. */
  readonly text: string;
  /** Parsed; the test fails when it is no JSON. */
  readonly body: Record<string, unknown>;
}

export interface Lab {
  readonly service: RunningService;
  readonly log: RecordingLog;
  readonly ca: Buffer;
  /** One HTTPS request on a connection of its own, or on that of `agent`. Rejects when the line breaks. */
  send(method: string, path: string, options?: RequestOptions & { body?: string }): Promise<Answer>;
  /** Asks the service API or the management API as the owner. */
  operate(method: string, path: string, body?: unknown): Promise<Answer>;
  /** A registration id with a key of its own; enrolled already. */
  enrollKey(registrationId: string): Promise<string>;
  stop(): Promise<void>;
}

export async function openLab(options: Partial<ServiceOptions> & { directory?: string } = {}): Promise<Lab> {
  const { directory = temporaryDirectory(), ...change } = options;
  const log = recordingLog();
  const service = await startServiceHere(join(directory, "dps"), { hubs: ["lab.example"], log, ...change });
  onTestFinished(service.stop);
  const ca = readFileSync(service.caFile);
  const [, host = "", policy = "", key = ""] =
    /^HostName=([^;]+);SharedAccessKeyName=([^;]+);SharedAccessKey=(.+)$/.exec(service.connectionString) ??
    [];

  const lab: Lab = {
    service,
    log,
    ca,
    stop: service.stop,
    async send(method, path, { body, ...rest } = {}) {
      const asked = request({
        host: "localhost",
        port: service.httpsPort,
        ca,
        method,
        path,
        agent: false,
        ...rest,
      });
      asked.end(body);
      const [response] = await once(asked, "response");
      let text = "";
      for await (const chunk of response) text += chunk;
      const { statusCode: status, headers } = response;
      return {
        status,
        headers,
        text,
        get body() {
          return JSON.parse(text);
        },
      };
    },
    operate: (method, path, body) =>
      lab.send(method, `${path}${path.includes("?") ? "&" : "?"}api-version=2021-10-01`, {
        headers: { authorization: sasToken(host, key, policy), "content-type": "application/json" },
        ...(body !== undefined && { body: JSON.stringify(body) }),
      }),
    async enrollKey(registrationId) {
      const primaryKey = randomBytes(32).toString("base64");
      const symmetricKey = { primaryKey, secondaryKey: primaryKey };
      const saved = await lab.operate("PUT", `/enrollments/${registrationId}`, {
        attestation: { type: "symmetricKey", symmetricKey },
      });
      expect(saved.status, saved.text).toBe(200);
      return primaryKey;
    },
  };
  return lab;
}

/** As IoT Hub's and DPS's documents describe it. `key` is base64. */
function sasToken(resource: string, key: string | Buffer, keyName: string): string {
  const sr = encodeURIComponent(resource);
  const se = Math.floor(Date.now() / 1000) + 600;
  const bytes = typeof key === "string" ? Buffer.from(key, "base64") : key;
  const sig = createHmac("sha256", bytes).update(`${sr}\n${se}`).digest("base64");
  return `SharedAccessSignature sr=${sr}&sig=${encodeURIComponent(sig)}&se=${se}&skn=${keyName}`;
}

export interface RawDevice {
  register(): Promise<Answer>;
  poll(operationId: string): Promise<Answer>;
}

export const deviceToken = ({ service }: Lab, registrationId: string, key: string | Buffer): string =>
  sasToken(`${service.idScope}/registrations/${registrationId}`, key, "registration");

/** `credential` is a base64 key, or what TLS shows. */
export function httpsDevice(
  lab: Lab,
  registrationId: string,
  credential: string | { cert: string; key: string },
): RawDevice {
  const { idScope } = lab.service;
  const send = (method: string, path: string, body?: string): Promise<Answer> =>
    lab.send(method, `/${idScope}/registrations/${registrationId}/${path}?api-version=2021-06-01`, {
      ...(typeof credential === "string"
        ? { headers: { authorization: deviceToken(lab, registrationId, credential) } }
        : credential),
      ...(body !== undefined && { body }),
    });
  return {
    register: () => send("PUT", "register", JSON.stringify({ registrationId })),
    poll: (operationId) => send("GET", `operations/${operationId}`),
  };
}

export interface RawMqttDevice extends RawDevice {
  readonly client: RawMqttClient;
  /** The next answer that nobody asked for any more. */
  nextAnswer(): Promise<Answer>;
}

/** Connected and subscribed. Rejects when the service ends the connection. */
export async function mqttDevice(
  lab: Lab,
  registrationId: string,
  credential: string | { cert: string; key: string },
): Promise<RawMqttDevice> {
  const { idScope, mqttPort, caFile } = lab.service;
  const tls = typeof credential === "string" ? {} : credential;
  const client = new RawMqttClient(await tlsConnection(mqttPort, caFile, tls));
  onTestFinished(() => void client.stream.destroy());
  const greeted = await client.connect({
    clientId: registrationId,
    username: `${idScope}/registrations/${registrationId}/api-version=2019-03-31`,
    ...(typeof credential === "string" && { password: deviceToken(lab, registrationId, credential) }),
  });
  if (greeted === undefined) throw new Error("the service closed the connection at CONNECT");
  expect(greeted).toMatchObject({ cmd: "connack", returnCode: 0 });
  expect(await client.subscribe()).toMatchObject({ cmd: "suback", granted: [1] });

  const nextAnswer = async (): Promise<Answer> => {
    const packet = await client.next();
    if (packet === undefined) throw new Error("the service closed the connection");
    expect(packet.cmd).toBe("publish");
    const { topic, payload } = packet as IPublishPacket;
    const [, status, retryAfter] =
      /^\$dps\/registrations\/res\/(\d{3})\/\?\$rid=\w+(?:&retry-after=(\d+))?$/.exec(topic) ?? [];
    const text = payload.toString();
    return {
      status: Number(status),
      headers: retryAfter === undefined ? {} : { "retry-after": retryAfter },
      text,
      get body() {
        return JSON.parse(text);
      },
    };
  };
  let messageId = 1;
  const ask = async (topic: string, payload: string): Promise<Answer> => {
    client.publish(topic, payload, { messageId: ++messageId });
    const acknowledged = await client.next();
    if (acknowledged === undefined) throw new Error("the service closed the connection");
    expect(acknowledged).toMatchObject({ cmd: "puback", messageId });
    return nextAnswer();
  };
  return {
    client,
    nextAnswer,
    register: () => ask("$dps/registrations/PUT/iotdps-register/?$rid=1", JSON.stringify({ registrationId })),
    poll: (operationId) =>
      ask(`$dps/registrations/GET/iotdps-get-operationstatus/?$rid=2&operationId=${operationId}`, " "),
  };
}
