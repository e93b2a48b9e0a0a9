// Attestation by TPM. The first request brings the TPM's keys and gets a key that only this TPM can open; the second
// is signed with it. Nothing else proves that the endorsement key is there.

import { randomBytes } from "node:crypto";
import type { TpmChallenge } from "../../registration/wire.ts";
import type { Clock } from "../../system/clock.ts";
import type { TpmAttestation } from "../records.ts";
import { Refusal } from "../refusal.ts";
import { keyOf } from "../tables.ts";
import { sealAuthenticationKey } from "./authentication-key.ts";
import { type Evidence, tokenOf, unauthorized } from "./evidence.ts";
import { signedWith } from "./sas-token.ts";
import { readEndorsementKey, readStorageRootKey, type TpmPublic } from "./tpm-public.ts";

/** Where a key can be sealed to: the pair of one challenge. */
export interface TpmKeys {
  readonly endorsementKey: TpmPublic;
  readonly storageRootKey: TpmPublic;
}

interface PendingChallenge extends TpmKeys {
  readonly key: Buffer;
  /** Of the monotonic clock. */
  readonly expiresAt: number;
}

const lifetimeMs = 15 * 60_000;

/** So many at once, that neither a lost answer nor a second agent spoils the challenge of another. */
const pendingPerDevice = 3;

export interface TpmChallenges {
  /** Throws unless what the device sent of its TPM, if it sent it, is what is enrolled. */
  compare(evidence: Evidence, enrolled: TpmAttestation["tpm"]): void;
  /** A new challenge for the keys in the evidence. */
  issue(evidence: Evidence): TpmChallenge;
  /** The keys of the challenge that signed the token. Throws when there is none. */
  verify(evidence: Evidence): TpmKeys;
}

/** Pending challenges live in memory: a device whose challenge a restart has swept away asks for the next. */
export function createTpmChallenges({ monotonic }: Pick<Clock, "monotonic">): TpmChallenges {
  const pendingByDevice = new Map<string, readonly PendingChallenge[]>();
  let sweptAt = monotonic();
  const pendingFor = ({ registrationId }: Evidence): readonly PendingChallenge[] =>
    (pendingByDevice.get(keyOf(registrationId)) ?? []).filter(({ expiresAt }) => expiresAt > monotonic());

  /** Forgets devices that asked once and never came back. */
  const sweep = (now: number): void => {
    if (now < sweptAt + lifetimeMs) return;
    sweptAt = now;
    for (const [device, pending] of pendingByDevice) {
      if (pending.every(({ expiresAt }) => expiresAt <= now)) pendingByDevice.delete(device);
    }
  };

  return {
    compare(evidence, enrolled) {
      const { tpm } = evidence;
      if (tpm === undefined) return;
      if (!sameKey(tpm.endorsementKey, enrolled.endorsementKey)) {
        throw unauthorized(evidence, "the endorsement key is not the enrolled one");
      }
      if (
        enrolled.storageRootKey &&
        tpm.storageRootKey &&
        !sameKey(tpm.storageRootKey, enrolled.storageRootKey)
      ) {
        throw unauthorized(evidence, "the storage root key is not the enrolled one");
      }
    },

    issue(evidence) {
      const { tpm, idScope, registrationId } = evidence;
      if (tpm === undefined) throw new Refusal(400000, "tpm.endorsementKey: missing");
      if (!tpm.storageRootKey) throw new Refusal(400000, "tpm.storageRootKey: missing");
      const keys: TpmKeys = {
        endorsementKey: readEndorsementKey(tpm.endorsementKey, "tpm.endorsementKey"),
        storageRootKey: readStorageRootKey(tpm.storageRootKey, "tpm.storageRootKey"),
      };
      const now = monotonic();
      sweep(now);
      const key = randomBytes(32);
      const challenge: PendingChallenge = { ...keys, key, expiresAt: now + lifetimeMs };
      const kept = pendingFor(evidence).slice(1 - pendingPerDevice);
      pendingByDevice.set(keyOf(registrationId), [...kept, challenge]);
      return {
        message: "Authorization required, resend request using supplied key",
        authenticationKey: sealAuthenticationKey({
          ...keys,
          key,
          resource: `${idScope}/registrations/${registrationId}`,
        }),
        unencryptedAuthenticationKey: null,
        keyName: "registration",
      };
    },

    verify(evidence) {
      const token = tokenOf(evidence);
      const match = pendingFor(evidence).find(({ key }) => signedWith(token, key));
      if (!match) throw unauthorized(evidence, "the SAS token was made with no pending challenge key");
      return match;
    },
  };
}

/** Compared as bytes, with or without the size in front. */
function sameKey(one: string, other: string): boolean {
  const [a, b] = [one, other].map((each) => {
    const bytes = Buffer.from(each, "base64");
    return bytes.length > 2 && bytes.readUInt16BE(0) === bytes.length - 2 ? bytes.subarray(2) : bytes;
  });
  return a !== undefined && b !== undefined && a.length > 0 && a.equals(b);
}
