// A symmetric key as an identity: the device's own, or derived from its group's for the registration id.

import { createHmac } from "node:crypto";
import { MooringError } from "../errors.ts";
import type { Log } from "../system/log.ts";
import { Secret } from "../system/secret.ts";
import { readSecretFile } from "./files.ts";
import { requireRegistrationId } from "./registration-id.ts";

/** Exactly one of them is given; each file holds base64. */
export interface SymmetricKeyFiles {
  readonly keyFile?: string;
  readonly groupKeyFile?: string;
}

export interface SymmetricKeyIdentity {
  readonly source: "symmetric-key";
  readonly attestation: "symmetricKey";
  readonly registrationId: string;
  /** Hex; tells keys apart without revealing anything about them. */
  readonly publicKeySha256: string;
  /** HMAC-SHA256 with the device key. */
  sign(data: Uint8Array): Promise<Buffer>;
}

/** Throws ERR_IDENTITY_UNREADABLE, ERR_IDENTITY_INVALID, ERR_REGISTRATION_ID_INVALID, ERR_IDENTITY_NOT_FOUND. */
export function openSymmetricKeyIdentity(
  { keyFile, groupKeyFile }: SymmetricKeyFiles,
  { registrationId: configured = "", log }: { registrationId: string | undefined; log: Log },
): SymmetricKeyIdentity {
  const path = keyFile ?? groupKeyFile;
  if (path === undefined) {
    throw new MooringError(
      "ERR_IDENTITY_NOT_FOUND",
      "[identity.symmetric_key] names neither key_file nor group_key_file",
    );
  }
  const registrationId = requireRegistrationId(configured, "[identity] registration_id");
  const given = decodeKey(readSecretFile(path, "the symmetric key", log), path);
  const deviceKey = keyFile === undefined ? deriveDeviceKey(given, registrationId) : given;
  return {
    source: "symmetric-key",
    attestation: "symmetricKey",
    registrationId,
    publicKeySha256: hmac(deviceKey, "mooring: fingerprint of a symmetric key").toString("hex"),
    sign: async (data) => hmac(deviceKey, data),
  };
}

/** The device key of a group's member: HMAC-SHA256 of the registration id under the group key. */
function deriveDeviceKey(groupKey: Secret, registrationId: string): Secret {
  return new Secret(hmac(groupKey, registrationId));
}

const hmac = (key: Secret, data: Uint8Array | string): Buffer =>
  createHmac("sha256", key.reveal()).update(data).digest();

function decodeKey(file: Secret, path: string): Secret {
  const text = file.reveal().toString("latin1").trim();
  const key = Buffer.from(text, "base64");
  // Node skips what is not base64, so the way back tells whether anything was skipped.
  const isExact = key.toString("base64").replace(/=+$/, "") === text.replace(/=+$/, "");
  if (isExact && key.length >= 16 && key.length <= 64) return new Secret(key);
  throw new MooringError("ERR_IDENTITY_INVALID", `the key in ${path} is not the base64 of 16 to 64 bytes`, {
    path,
  });
}
