// What a reprovisioning would do, said before it is done: what is sent where, what is replaced, and what stays. Neither
// network nor TPM is touched, and nothing on disk.

import type { Assignment } from "../assignment/assignment.ts";
import { type Generation, goodGenerations, loadCurrent } from "../assignment/generations.ts";
import type { Config } from "../config/schema.ts";
import type { TransportName } from "../registration/transport.ts";
import { openAttempts } from "./attempts.ts";
import type { Tools } from "./connect.ts";
import { type Decision, decide } from "./decide.ts";
import { type OwnFacts, registrationIdFrom } from "./facts.ts";
import { attestationOf, identitySource, ownFacts } from "./identity.ts";
import { lineFor } from "./line.ts";
import { lookAround } from "./situation.ts";

interface Place {
  readonly generation: number;
  readonly assignedHub: string;
  readonly deviceId: string;
}

export interface Plan {
  /** What is due without anybody asking. */
  readonly decision: Decision;
  readonly sends: {
    readonly endpoint: string;
    readonly idScope: string;
    /** Absent when only the TPM can tell. */
    readonly registrationId?: string;
    readonly attestation: Assignment["attestation"];
    /** To be tried in turn. */
    readonly transports: readonly { readonly transport: TransportName; readonly port: number }[];
    readonly because: string;
    readonly payloadBytes: number;
    /** Without its credentials. */
    readonly proxy?: string;
  };
  /** Stays in use until the new one is proven, and on disk for `mooring rollback`. */
  readonly replaces?: Place;
  /** The key in it is replaced, once the new assignment is in force. */
  readonly hubKeyHandle?: string;
  /** Older ones, which `mooring rollback` cannot return to any more. */
  readonly removes: readonly Place[];
  readonly outputs: readonly string[];
}

/** Throws what reading the state, the identity's files and those of [provisioning] throws. */
export async function planReprovision(config: Config, tools: Pick<Tools, "clock" | "log">): Promise<Plan> {
  const { state, provisioning, identity, outputs } = config;
  const current = loadCurrent(state.directory, tools);
  const attempts = openAttempts(state.directory, { ...tools, isReadOnly: true });
  const facts = await lookAround(config, current, attempts, { ...tools, operatorAsks: false });

  const source = await identitySource(config);
  const attestation = attestationOf[source];
  const own = {
    ...(await ownFacts(config, source, current?.assignment)),
    ...(source === "x509" && { cn: await commonName(config) }),
  };
  const line = await lineFor(config, { attestation, facts: own });
  const registrationId = await expectedRegistrationId(config, source, own);
  const { endpoint, idScope } = provisioning;
  return {
    decision: decide(facts),
    sends: {
      ...{ endpoint, idScope, attestation, because: line.because },
      ...(registrationId !== undefined && { registrationId }),
      transports: line.order.map((transport) => ({ transport, port: portOf(config, transport) })),
      payloadBytes: line.payload === undefined ? 0 : Buffer.byteLength(JSON.stringify(line.payload)),
      ...(line.proxy !== undefined && { proxy: new URL(line.proxy).host }),
    },
    ...(current && { replaces: placeOf(current) }),
    ...(source === "tpm" && { hubKeyHandle: `0x${identity.tpm.hubKeyHandle.toString(16)}` }),
    removes: goodGenerations(state.directory).flatMap((one) =>
      one.number === current?.number ? [] : [placeOf(one)],
    ),
    outputs: outputs.map(({ path }) => path),
  };
}

async function expectedRegistrationId(
  { identity }: Config,
  source: keyof typeof attestationOf,
  own: OwnFacts,
): Promise<string | undefined> {
  const endorsementKeySha256 = own["ek-sha256"];
  if (source === "tpm" && endorsementKeySha256 === undefined) return undefined;
  if (identity.registrationId !== undefined) return registrationIdFrom(identity.registrationId, own);
  // A symmetric key has no other name than the configured one.
  if (endorsementKeySha256 === undefined) return own.cn;
  return (await import("../identity/tpm.ts")).tpmRegistrationIdOf(endorsementKeySha256);
}

const commonName = async ({ identity }: Config): Promise<string | undefined> =>
  (await import("../identity/x509.ts")).x509CommonName(identity.x509 ?? {});

const portOf = ({ provisioning: { ports } }: Config, transport: TransportName): number =>
  transport === "https" ? ports.https : transport === "mqtt" ? ports.mqtt : ports.mqttWs;

const placeOf = ({ number: generation, assignment: { assignedHub, deviceId } }: Generation): Place => ({
  ...{ generation, assignedHub, deviceId },
});
