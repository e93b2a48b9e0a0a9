// Attestation by a shared key: the enrollment's own, or one that the device derived from its group's.

import { createHmac } from "node:crypto";
import type { EnrollmentGroup, SymmetricKeyAttestation } from "../records.ts";
import { type Evidence, tokenOf, unauthorized } from "./evidence.ts";
import { signedWith } from "./sas-token.ts";

type Keys = SymmetricKeyAttestation["symmetricKey"];

/** Throws unless the token was made with one of the enrollment's two keys. */
export function verifySymmetricKey(evidence: Evidence, { primaryKey, secondaryKey }: Keys): void {
  const token = tokenOf(evidence);
  const known = [primaryKey, secondaryKey].some((key) => signedWith(token, Buffer.from(key, "base64")));
  if (!known) throw unauthorized(evidence, "the SAS token was made with another key");
}

export interface SymmetricKeyMatch {
  readonly group: EnrollmentGroup;
  /** The keys of this device, base64: the one it used was derived from the same spelling of its id. */
  readonly keys: Keys;
}

/** The group from whose key the device derived its own. Throws when it is none of them. */
export function findGroupByKey(evidence: Evidence, groups: readonly EnrollmentGroup[]): SymmetricKeyMatch {
  const token = tokenOf(evidence);
  const asSent = evidence.registrationId;
  for (const group of groups) {
    if (group.attestation.type !== "symmetricKey") continue;
    for (const id of new Set([asSent, asSent.toLowerCase()])) {
      const { primaryKey, secondaryKey } = group.attestation.symmetricKey;
      const keys = [derive(primaryKey, id), derive(secondaryKey, id)] as const;
      if (keys.some((key) => signedWith(token, key))) {
        return {
          group,
          keys: { primaryKey: keys[0].toString("base64"), secondaryKey: keys[1].toString("base64") },
        };
      }
    }
  }
  throw unauthorized(evidence, "the SAS token was made with no key derived from a group's");
}

/** HMAC-SHA256 of the registration id under the group's key (DPS, symmetric key attestation, group enrollments). */
const derive = (groupKey: string, registrationId: string): Buffer =>
  createHmac("sha256", Buffer.from(groupKey, "base64")).update(registrationId).digest();
