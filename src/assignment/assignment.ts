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
  /** Hex Names of the TPM's own keys: another one, or a cleared one, has others. Absent from older assignments. */
  readonly tpm?: { readonly endorsementKey: string; readonly storageRootKey: string };
  /** Of the identity that registered, hex: lets a later start say that it was this part which changed. */
  readonly publicKeySha256: string;
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

/** What a stored assignment turned out to be. A newer version's is left alone: an image may have been rolled back. */
export type Reading =
  | { readonly state: "good"; readonly assignment: Assignment }
  | { readonly state: "newer"; readonly schemaVersion: number }
  | { readonly state: "damaged"; readonly why: string };

/** assignment.json: the fields, and a checksum over them and the hub key that lies beside them. */
export function encodeAssignment(assignment: Assignment, hubKey?: Uint8Array): string {
  return `${JSON.stringify({ ...assignment, checksum: checksum(assignment, hubKey) }, null, 2)}\n`;
}

/** The checksum vouches for the fields: what carries a right one was written by encodeAssignment(). */
export function decodeAssignment(content: string, hubKey?: Uint8Array): Reading {
  try {
    const { checksum: expected, ...fields }: Record<string, unknown> = Object(JSON.parse(content));
    const { schemaVersion } = fields;
    if (typeof schemaVersion === "number" && schemaVersion > 1) return { state: "newer", schemaVersion };
    if (schemaVersion !== 1) return { state: "damaged", why: "it has no schema version" };
    if (expected !== checksum(fields, hubKey))
      return { state: "damaged", why: "its checksum does not match" };
    return { state: "good", assignment: fields as unknown as Assignment };
  } catch (error) {
    return { state: "damaged", why: error instanceof Error ? error.message : String(error) };
  }
}

/** Hex SHA-256 over the canonical JSON, followed by the hub key's bytes. */
function checksum(fields: object, hubKey: Uint8Array | undefined): string {
  const hash = createHash("sha256").update(canonical(fields));
  if (hubKey) hash.update(hubKey);
  return hash.digest("hex");
}

/** JSON without white space and with sorted keys: the same for equal values, however they were written. */
function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value) ?? "null";
  const members = Object.entries(value)
    .filter(([, member]) => member !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${members.map(([key, member]) => `${JSON.stringify(key)}:${canonical(member)}`).join(",")}}`;
}
