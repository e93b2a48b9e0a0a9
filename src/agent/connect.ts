// From configuration and identity to a finished registration: chooses the transport, opens it, falls back to the
// next where a line cannot be had.

import { readFileSync } from "node:fs";
import type { Config } from "../config/schema.ts";
import { MooringError } from "../errors.ts";
import { type Assigned, register } from "../registration/handshake.ts";
import type { Endpoint, Transport, TransportName } from "../registration/transport.ts";
import { anotherTransportMayHelp, chooseTransport } from "../registration/transport-choice.ts";
import type { Clock } from "../system/clock.ts";
import { type Deadline, withDeadline } from "../system/deadline.ts";
import type { Log } from "../system/log.ts";
import type { TrustedTime } from "../system/trusted-time.ts";
import { version } from "../system/version.ts";
import { expand } from "./facts.ts";
import { credentialOf, factsOf, type Identity } from "./identity.ts";

export interface Tools {
  readonly clock: Clock;
  readonly log: Log;
  readonly signal: AbortSignal;
  /** Learns from what the service says the time is. */
  readonly time?: TrustedTime;
}

export interface Connected extends Assigned {
  readonly transport: TransportName;
}

const userAgent = `mooring/${version} (${process.platform}; ${process.arch})`;

/** Registers with DPS under the configured deadline. */
export async function registerWithService(
  config: Config,
  identity: Identity,
  tools: Tools,
): Promise<Connected> {
  const { provisioning } = config;
  const proxy = await proxyFor(config);
  const { order, because } = chooseTransport({
    configured: provisioning.transport,
    attestation: identity.attestation,
    hasProxy: proxy !== undefined,
  });
  tools.log.debug("transport.chosen", { transport: order[0], because });
  const line = {
    ca: provisioning.caFile === undefined ? undefined : readCaFile(provisioning.caFile),
    payload: await payloadOf(config, identity),
    proxy,
  };
  return withDeadline(provisioning.deadlineMs, tools, async (deadline) => {
    const failures: MooringError[] = [];
    for (const name of order) {
      try {
        return await registerOver(name, config, identity, line, { ...tools, ...deadline });
      } catch (error) {
        if (!anotherTransportMayHelp(error)) throw error;
        failures.push(error);
        const next = order[failures.length];
        if (next)
          tools.log.warn("transport.fallback", {
            transport: name,
            code: error.code,
            error: error.message,
            next,
          });
      }
    }
    throw allFailed(failures);
  });
}

interface Line {
  readonly ca: string | undefined;
  readonly payload: unknown;
  readonly proxy: string | undefined;
}

async function registerOver(
  name: TransportName,
  config: Config,
  identity: Identity,
  { ca, payload, proxy }: Line,
  tools: Tools & Deadline,
): Promise<Connected> {
  const { endpoint: host, idScope, ports } = config.provisioning;
  const { registrationId } = identity;
  const transport = await openTransport(name, {
    host,
    port: name === "https" ? ports.https : name === "mqtt" ? ports.mqtt : ports.mqttWs,
    idScope,
    registrationId,
    ...(ca !== undefined && { ca }),
    ...(proxy !== undefined && name !== "mqtt" && { proxy }),
    ...(identity.source === "x509" && {
      clientCertificate: {
        certificate: identity.certificate,
        privateKey: identity.privateKey.reveal().toString("latin1"),
      },
    }),
  });
  tools.log.debug("registration.started", {
    registrationId,
    idScope,
    attestation: identity.attestation,
    transport: name,
  });
  try {
    const assigned = await register({
      ...tools,
      idScope,
      registrationId,
      credential: credentialOf(identity, tools),
      ...(payload !== undefined && { payload }),
      transport,
      random: Math.random,
      onServiceTime: (at, kind) => tools.time?.learnFromService(at, kind),
    });
    return { ...assigned, transport: name };
  } finally {
    await transport.close();
  }
}

async function openTransport(name: TransportName, endpoint: Endpoint): Promise<Transport> {
  if (name === "https") return (await import("../registration/https.ts")).openHttps(endpoint, { userAgent });
  return (await import("../registration/mqtt.ts")).openMqtt(name, endpoint, { clientVersion: userAgent });
}

/** The proxy of the configuration, else of the environment. Its credentials come from a file, never from argv. */
async function proxyFor({ provisioning }: Config): Promise<string | undefined> {
  const { proxy, proxyCredentialsFile, endpoint: host, ports } = provisioning;
  if (proxy === undefined) {
    if (!proxyVariables.some((name) => process.env[name] || process.env[name.toUpperCase()]))
      return undefined;
    return (await import("../registration/proxy.ts")).proxyFromEnvironment({ host, port: ports.https });
  }
  if (proxyCredentialsFile === undefined) return proxy;
  const url = new URL(proxy);
  const [user = "", ...password] = readNamed(proxyCredentialsFile, "proxy_credentials_file")
    .trim()
    .split(":");
  url.username = encodeURIComponent(user);
  url.password = encodeURIComponent(password.join(":"));
  return url.href;
}

const proxyVariables = ["https_proxy", "all_proxy"];

async function payloadOf({ provisioning }: Config, identity: Identity): Promise<unknown> {
  if (provisioning.payloadFile === undefined)
    return expand(provisioning.payload, "[provisioning.payload]", factsOf(identity));
  const text = readNamed(provisioning.payloadFile, "payload_file");
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new MooringError(
      "ERR_CONFIG_INVALID",
      `[provisioning] payload_file ${provisioning.payloadFile} is not JSON`,
      { cause },
    );
  }
}

function readCaFile(path: string): string {
  const pem = readNamed(path, "ca_file");
  if (pem.includes("-----BEGIN CERTIFICATE-----")) return pem;
  throw new MooringError("ERR_CONFIG_INVALID", `[provisioning] ca_file ${path} holds no PEM certificate`);
}

/** At once: the files are small, and `node:fs/promises` takes longer to load than they to read. */
function readNamed(path: string, key: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (cause) {
    throw new MooringError("ERR_CONFIG_INVALID", `cannot read [provisioning] ${key} ${path}`, {
      cause,
      path,
    });
  }
}

/** What every transport said, under the code of the last. */
function allFailed(failures: readonly MooringError[]): MooringError {
  const last = failures.at(-1) ?? new MooringError("ERR_INTERNAL", "there was no transport to try");
  if (failures.length <= 1) return last;
  return new MooringError(last.code, `no transport reached the service; last: ${last.message}`, {
    ...last.details,
    cause: last.cause,
    problems: failures.map((failure) => `${failure.code}: ${failure.message}`),
  });
}
