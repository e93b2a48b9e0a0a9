// One process full of devices: each of its clients registers one device after another until the time is up.

import { createHmac } from "node:crypto";
import { once } from "node:events";
import { Agent, request } from "node:https";
import { json } from "node:stream/consumers";
import { setTimeout as sleep } from "node:timers/promises";
import { createSecureContext, type SecureContext } from "node:tls";
import { sasToken } from "../../src/registration/sas.ts";
import { operationPath, registerPath, registrationResource } from "../../src/registration/wire.ts";

import { registerOverMqtt } from "./mqtt-device.ts";

export interface Load {
  readonly attestation: "symmetricKey" | "x509";
  readonly transport: "https" | "mqtt";
  readonly idScope: string;
  readonly port: number;
  readonly ca: string;
  readonly clients: number;
  readonly seconds: number;
  /** Both make registration ids that are new. */
  readonly run: string;
  readonly process: number;
  /** Base64. */
  readonly groupKey: string;
  readonly devices: readonly {
    readonly registrationId: string;
    readonly certificate: string;
    readonly privateKey: string;
  }[];
}

export interface LoadResult {
  readonly latenciesMs: readonly number[];
  readonly elapsedMs: number;
  readonly cpuMs: number;
}

interface Device {
  readonly registrationId: string;
  readonly tls: { readonly secureContext: SecureContext };
  readonly authorization?: string;
}

/**
 * Keys are derived per device and every device is a new one; certificates are made beforehand, one for each client,
 * because MQTT lets no device connect twice.
 */
function deviceMaker({
  attestation,
  ca,
  devices,
  run,
  process,
  idScope,
  groupKey,
  clients,
}: Load): (client: number) => Promise<Device> {
  let made = 0;
  if (attestation === "x509") {
    const ready = devices.map(({ registrationId, certificate, privateKey }) => ({
      registrationId,
      tls: { secureContext: createSecureContext({ ca, cert: certificate, key: privateKey }) },
    }));
    return async (client) => ready[process * clients + client] as Device;
  }
  const tls = { secureContext: createSecureContext({ ca }) };
  return async () => {
    const registrationId = `${run}-${process}-${made++}`;
    const key = createHmac("sha256", Buffer.from(groupKey, "base64")).update(registrationId).digest();
    const authorization = await sasToken({
      resource: registrationResource(idScope, registrationId),
      expiresAtSeconds: Date.now() / 1000 + 3600,
      keyName: "registration",
      sign: async (data) => createHmac("sha256", key).update(data).digest(),
    });
    return { registrationId, tls, authorization };
  };
}

async function register(load: Load, device: Device): Promise<void> {
  const { idScope, port } = load;
  const { registrationId, tls, authorization } = device;
  if (load.transport === "mqtt") {
    const password = authorization === undefined ? {} : { password: authorization };
    const { status } = await registerOverMqtt(port, { idScope, registrationId, ...tls, ...password });
    if (status !== "assigned") throw new Error(`not assigned, but ${status}`);
    return;
  }
  const agent = new Agent({ keepAlive: true, maxSockets: 1, maxCachedSessions: 0 });
  const ask = async (method: "PUT" | "GET", path: string) => {
    const headers = {
      ...(method === "PUT" && { "content-type": "application/json; charset=utf-8" }),
      ...(authorization !== undefined && { authorization }),
    };
    const asked = request({ agent, host: "localhost", port, method, path, headers, ...tls });
    asked.end(method === "PUT" ? JSON.stringify({ registrationId }) : undefined);
    const [answer] = await once(asked, "response");
    const retryAfter = Number(answer.headers["retry-after"] ?? 0);
    return { retryAfter, body: (await json(answer)) as { status?: string; operationId?: string } };
  };
  try {
    let answer = await ask("PUT", registerPath(idScope, registrationId));
    while (answer.body.status === "assigning" && answer.body.operationId !== undefined) {
      await sleep(answer.retryAfter * 1000);
      answer = await ask("GET", operationPath(idScope, registrationId, answer.body.operationId));
    }
    if (answer.body.status !== "assigned") throw new Error(`not assigned: ${JSON.stringify(answer.body)}`);
  } finally {
    agent.destroy();
  }
}

async function run(load: Load): Promise<LoadResult> {
  const nextDevice = deviceMaker(load);
  const latenciesMs: number[] = [];
  const startedAt = performance.now();
  const cpuBefore = process.cpuUsage();
  const client = async (number: number): Promise<void> => {
    while (performance.now() - startedAt < load.seconds * 1000) {
      const device = await nextDevice(number);
      const since = performance.now();
      await register(load, device);
      latenciesMs.push(performance.now() - since);
    }
  };
  await Promise.all(Array.from({ length: load.clients }, (_, number) => client(number)));
  const { user, system } = process.cpuUsage(cpuBefore);
  return { latenciesMs, elapsedMs: performance.now() - startedAt, cpuMs: (user + system) / 1000 };
}

const [load] = (await once(process, "message")) as [Load];
process.send?.(await run(load));
