// What can be read from a key's bytes without a TPM. TPM 2.0 Library, Part 2, 12.2.4 "TPMT_PUBLIC"; Part 1, "Names".

import { createHash } from "node:crypto";
import { MooringError } from "../errors.ts";

const algRsa = 0x0001;
const algAes = 0x0006;
const algKeyedHash = 0x0008;
const algSha256 = 0x000b;
const algNull = 0x0010;
const algCfb = 0x0043;
const attributeSign = 0x0004_0000;
/** fixedTPM, fixedParent, sensitiveDataOrigin, adminWithPolicy, restricted, decrypt. */
const attributesOfEk = 0x0003_00b2;

/** Name of a public area: its hash algorithm (SHA-256) and digest, 34 bytes. `publicArea` is a TPM2B_PUBLIC. */
export function nameOfPublic(publicArea: Uint8Array): Buffer {
  const algorithm = Buffer.from([algSha256 >> 8, algSha256 & 0xff]);
  return Buffer.concat([algorithm, createHash("sha256").update(publicArea.subarray(2)).digest()]);
}

/**
 * Name of a wrapped key (TPM2B_PUBLIC ‖ TPM2B_PRIVATE), the same in every TPM. Throws ERR_TPM_KEY_REJECTED when the
 * bytes are not that.
 */
export function wrappedKeyName(wrappedKey: Uint8Array): Buffer {
  const bytes = Buffer.from(wrappedKey.buffer, wrappedKey.byteOffset, wrappedKey.byteLength);
  const publicEnd = endOf2b(bytes, 0);
  if (publicEnd === undefined || endOf2b(bytes, publicEnd) !== bytes.length || !isHmacKey(bytes)) {
    throw new MooringError("ERR_TPM_KEY_REJECTED", `${bytes.length} bytes are not a wrapped HMAC key`);
  }
  return nameOfPublic(bytes.subarray(0, publicEnd));
}

/** Whether a TPM2B_PUBLIC is that of a key that signs with HMAC. */
export function isHmacKey(publicArea: Uint8Array): boolean {
  const view = Buffer.from(publicArea.buffer, publicArea.byteOffset, publicArea.byteLength);
  return (
    view.length > 10 &&
    view.readUInt16BE(2) === algKeyedHash &&
    view.readUInt16BE(4) === algSha256 &&
    (view.readUInt32BE(6) & attributeSign) !== 0
  );
}

/**
 * What keeps a base64 text from being an endorsement key as DPS takes it: the TPM2B_PUBLIC of an RSA 2048 storage key
 * that never left its TPM (TCG EK Credential Profile, template L-1). Undefined when nothing does.
 */
export function endorsementKeyProblem(base64: string): string | undefined {
  const bytes = Buffer.from(base64, "base64");
  if (bytes.length === 0 || bytes.toString("base64") !== base64) return "not base64";
  const policyEnd = endOf2b(bytes, 10);
  if (bytes.length < 12 || bytes.readUInt16BE(0) !== bytes.length - 2 || policyEnd === undefined)
    return "not a complete TPM2B_PUBLIC";
  if (bytes.readUInt16BE(2) !== algRsa) return "not an RSA key; DPS knows no other";
  const attributes = bytes.readUInt32BE(6);
  if (bytes.readUInt16BE(4) !== algSha256 || (attributes & attributesOfEk) !== attributesOfEk)
    return "not an endorsement key: its attributes are those of another key";
  const rest = bytes.subarray(policyEnd);
  if (rest.length !== 2 + 2 + 2 + 2 + 2 + 4 + 2 + 256) return "not an RSA key of 2048 bits";
  const [symmetric, , mode, scheme, bits] = [0, 2, 4, 6, 8].map((at) => rest.readUInt16BE(at));
  return symmetric === algAes && mode === algCfb && scheme === algNull && bits === 2048
    ? undefined
    : "not an endorsement key: another cipher, scheme or size than DPS knows";
}

function endOf2b(bytes: Buffer, start: number): number | undefined {
  if (start + 2 > bytes.length) return undefined;
  const end = start + 2 + bytes.readUInt16BE(start);
  return end <= bytes.length ? end : undefined;
}
