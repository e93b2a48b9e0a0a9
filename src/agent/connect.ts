// From configuration and identity to a finished registration: opens the chosen transport, and falls back to the next
// where a line cannot be had.

import type { Config } from "../config/schema.ts";
import { MooringError } from "../errors.ts";
import { type Assigned, register } from "../registration/handshake.ts";
import type { Endpoint, Transport, TransportName } from "../registration/transport.ts";
import { anotherTransportMayHelp } from "../registration/transport-choice.ts";
import type { Clock } from "../system/clock.ts";
import { type Deadline, withDeadline } from "../system/deadline.ts";
import type { Log } from "../system/log.ts";
import type { TrustedTime } from "../system/trusted-time.ts";
import { version } from "../system/version.ts";
import { credentialOf, factsOf, type Identity } from "./identity.ts";
import { type Line, lineFor } from "./line.ts";

export interface Tools {
  readonly clock: Clock;
  readonly log: Log;
  readonly signal: AbortSignal;
  /** Attempts are repeated at the agent's own pace: within one, a register request that fails is not. */
  readonly isPaced?: boolean;
}

/** Who talks to the service learns the time from it. */
export interface LineTools extends Tools {
  readonly time: TrustedTime;
}

export interface Connected extends Assigned {
  readonly transport: TransportName;
}

const userAgent = `mooring/${version} (${process.platform}; ${process.arch})`;

/** Registers with DPS under the configured deadline. */
export async function registerWithService(
  config: Config,
  identity: Identity,
  tools: LineTools,
): Promise<Connected> {
  const line = await lineFor(config, { attestation: identity.attestation, facts: factsOf(identity) });
  const { order, because } = line;
  tools.log.debug("transport.chosen", { transport: order[0], because });
  return withDeadline(config.provisioning.deadlineMs, tools, async (deadline) => {
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

async function registerOver(
  name: TransportName,
  config: Config,
  identity: Identity,
  { ca, payload, proxy }: Line,
  tools: LineTools & Deadline,
): Promise<Connected> {
  const { endpoint: host, idScope, ports } = config.provisioning;
  const { registrationId } = identity;
  const { time } = tools;
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
      tokenTime: () => time.now(),
      onServiceTime: (at, kind) => time.learn(at, kind),
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

/** What every transport said, under the code of the last. */
function allFailed(failures: readonly MooringError[]): MooringError {
  const last = failures.at(-1) ?? new MooringError("ERR_INTERNAL", "there was no transport to try");
  if (failures.length <= 1) return last;
  // A port that is closed says less than what happened on one that is open.
  const told = failures.findLast(({ code }) => code !== "ERR_CONNECT") ?? last;
  return new MooringError(told.code, `no transport succeeded; the farthest: ${told.message}`, {
    ...told.details,
    cause: told.cause,
    problems: failures.map((failure) => `${failure.code}: ${failure.message}`),
  });
}
