// What DPS answered, in the form that is kept: one JSON document with a checksum. Pure; files are generations.ts' part.

import { createHash } from "node:crypto";

export interface Assignment {
  readonly schemaVersion: 1;
  readonly assignedHub: string;
  readonly deviceId: string;
  readonly registrationId: string;
  readonly idScope: string;
  readonly endpoint: string;
  readonly attestation: "tpm" | "x509" | "symmetricKey";
  readonly transport: "https" | "mqtt" | "mqtt-ws";
  readonly substatus?: string;
  /** ISO 8601, UTC. */
  readonly assignedAt: string;
  readonly operationId?: string;
  readonly etag?: string;
  readonly payload?: unknown;
  /** Where the TPM holds the hub key, and the hex Name of its public area. */
  readonly hubKey?: { readonly handle: number; readonly name: string };
  /** inputsFingerprint() of what the registration was made with. */
  readonly inputs: string;
}

/** What an assignment was made with: another value of any of these asks for another assignment. */
export interface Inputs {
  readonly endpoint: string;
  readonly idScope: string;
  readonly registrationId: string;
  /** Hex SHA-256 of the identity's public key. */
  readonly publicKeySha256: string;
}

/** Hex SHA-256 over the inputs; host, scope and registration id compare without regard to case, as DPS does. */
export function inputsFingerprint(inputs: Inputs): string {
  const { endpoint, idScope, registrationId, publicKeySha256 } = inputs;
  const words = [endpoint, idScope, registrationId, publicKeySha256].map((word) => word.toLowerCase());
  return createHash("sha256").update(JSON.stringify(words)).digest("hex");
}
