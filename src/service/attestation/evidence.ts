// What a device brings along to show who it is, whatever its attestation.

import type { DeviceRegistration } from "../../registration/wire.ts";
import { Refusal } from "../refusal.ts";
import { keyOf } from "../tables.ts";
import { hasExpired, parseSasToken, type SasToken } from "./sas-token.ts";

export interface Evidence {
  readonly transport: "https" | "mqtt" | "mqtt-ws";
  readonly idScope: string;
  readonly registrationId: string;
  readonly authorization?: string;
  /** DER, leaf first; whoever sent them holds the leaf's private key. */
  readonly certificates: readonly Buffer[];
  readonly tpm?: NonNullable<DeviceRegistration["tpm"]>;
  /** ms since 1970. */
  readonly now: number;
}

/** The answer to a wrong token differs by transport, as Azure's does. `reason` is for the log. */
export const unauthorized = ({ transport }: Evidence, reason: string): Refusal =>
  new Refusal(transport === "https" ? 401002 : 401000, "Unauthorized", reason);

export const invalidCertificate = (reason: string): Refusal =>
  new Refusal(401002, "Invalid certificate.", reason);

/** The token, if it is about this registration and has not run out; who signed it is still open. */
export function tokenOf(evidence: Evidence): SasToken {
  const { authorization, idScope, registrationId, now } = evidence;
  if (authorization === undefined) throw unauthorized(evidence, "no SAS token");
  const token = parseSasToken(authorization);
  if (!token) throw unauthorized(evidence, "the authorization is not a SAS token");
  if (keyOf(token.resource) !== keyOf(`${idScope}/registrations/${registrationId}`)) {
    throw unauthorized(evidence, "the SAS token is for something else");
  }
  if (hasExpired(token, now)) {
    throw unauthorized(evidence, `the SAS token ran out ${Math.round(now / 1000 - token.expiresAt)} s ago`);
  }
  return token;
}
