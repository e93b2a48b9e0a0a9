// What the tests of the sockets share: a server credential, device certificates made by OpenSSL, a DeviceApi that
// records what it is asked, and an MQTT client that shows every byte.

import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { type AddressInfo, connect as connectTcp } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Duplex } from "node:stream";
import type { Server } from "node:tls";
import { type ConnectionOptions, connect as connectTls, type TLSSocket } from "node:tls";
import mqttPacket, { type Packet } from "mqtt-packet";
import { afterAll } from "vitest";
import { openAuthority } from "../../src/service/authority.ts";
import type { DeviceAnswer, DeviceApi, DeviceRequest } from "../../src/service/device-api.ts";
import { systemClock } from "../../src/system/clock.ts";
import { makeCertificate, makeKey } from "../support/openssl.ts";

/** A directory that lasts as long as the test file. */
export function directoryOfFile(): string {
  const path = mkdtempSync(join(tmpdir(), "mooring-test-"));
  afterAll(() => rmSync(path, { recursive: true }));
  return path;
}

export const serverCredential = (directory: string) =>
  openAuthority(directory, { hostnames: [], clock: systemClock });

/** root → intermediate → device, EC P-256, as PEM: `parts` one by one and `chain` together, leaf first. */
export function deviceCertificates(
  directory: string,
  commonName: string,
): { chain: string; key: string; parts: string[] } {
  const issue = (name: string, subject: string, issuer?: string): string => {
    const key = makeKey(directory, `${name}.key`, "EC P-256");
    const extensions = [`basicConstraints = critical, CA:${name === "device" ? "FALSE" : "TRUE"}`];
    const by = issuer && {
      certificate: join(directory, `${issuer}.pem`),
      key: join(directory, `${issuer}.key`),
    };
    const options = { key, subject: `/CN=${subject}`, extensions, ...(by && { issuer: by }) };
    return readFileSync(makeCertificate(directory, `${name}.pem`, options), "utf8");
  };
  const root = issue("root", "test root");
  const intermediate = issue("intermediate", "test intermediate", "root");
  const device = issue("device", commonName, "intermediate");
  return {
    chain: device + intermediate + root,
    parts: [device, intermediate, root],
    key: readFileSync(join(directory, "device.key"), "utf8"),
  };
}

/** Answers what `reply` says, and keeps what it was asked. */
export function recordingDeviceApi(
  reply: (request: DeviceRequest) => DeviceAnswer | Promise<DeviceAnswer> = () => assigning,
): {
  deviceApi: DeviceApi;
  requests: DeviceRequest[];
} {
  const requests: DeviceRequest[] = [];
  return {
    requests,
    deviceApi: {
      handle: async (request) => {
        requests.push(request);
        return reply(request);
      },
      welcomes: () => true,
      knows: () => true,
    },
  };
}

/** The operation of azure-sdk-for-c's tests. */
export const assigning: DeviceAnswer = {
  status: 202,
  body: { operationId: "4.d0a671905ea5b2c8.42d78160-4c78-479e-8be7-61d5e55dac0d", status: "assigning" },
  retryAfterSeconds: 3,
  requestId: "a021814f-0cf6-4ce9-a1e9-ead7eb5118d9",
};

export async function listening(server: Server): Promise<number> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return (server.address() as AddressInfo).port;
}

export async function tlsConnection(
  port: number,
  caFile: string,
  options: ConnectionOptions = {},
): Promise<TLSSocket> {
  const socket = connectTls({ host: "127.0.0.1", port, ca: readFileSync(caFile), ...options });
  await once(socket, "secureConnect");
  return socket;
}

export const tcpConnection = async (port: number): Promise<Duplex> => {
  const socket = connectTcp(port, "127.0.0.1");
  await once(socket, "connect");
  return socket;
};

/** A client of MQTT that keeps what comes, in order, and does nothing by itself. */
export class RawMqttClient {
  readonly stream: Duplex;
  readonly #arrived: Packet[] = [];
  #wake: () => void = () => {};
  /** Every byte that came. */
  bytes = Buffer.alloc(0);
  ended = false;

  constructor(stream: Duplex) {
    this.stream = stream;
    const parser = mqttPacket.parser();
    parser.on("packet", (packet) => this.#arrived.push({ ...packet }));
    stream.on("data", (chunk: Buffer) => {
      this.bytes = Buffer.concat([this.bytes, chunk]);
      parser.parse(chunk);
      this.#wake();
    });
    stream.on("error", () => {});
    for (const end of ["end", "close"]) {
      stream.once(end, () => {
        this.ended = true;
        this.#wake();
      });
    }
  }

  send(packet: Packet | Buffer): void {
    this.stream.write(Buffer.isBuffer(packet) ? packet : mqttPacket.generate(packet));
  }

  /** The next packet; undefined when the server closed instead. */
  async next(): Promise<Packet | undefined> {
    while (this.#arrived.length === 0 && !this.ended) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    return this.#arrived.shift();
  }

  connect(fields: {
    clientId: string;
    username?: string;
    password?: string;
    keepalive?: number;
  }): Promise<Packet | undefined> {
    const { password, ...rest } = fields;
    this.send({
      cmd: "connect",
      protocolId: "MQTT",
      protocolVersion: 4,
      clean: true,
      ...rest,
      ...(password === undefined ? {} : { password: Buffer.from(password) }),
    });
    return this.next();
  }

  subscribe(topic = "$dps/registrations/res/#", qos: 0 | 1 | 2 = 1): Promise<Packet | undefined> {
    this.send({ cmd: "subscribe", messageId: 1, subscriptions: [{ topic, qos }] });
    return this.next();
  }

  publish(
    topic: string,
    payload: string | Buffer = "",
    { qos = 1, messageId = 2 }: { qos?: 0 | 1 | 2; messageId?: number } = {},
  ): void {
    this.send({
      cmd: "publish",
      topic,
      payload,
      qos,
      dup: false,
      retain: false,
      ...(qos === 0 ? {} : { messageId }),
    });
  }
}
