// What can be read from a key's bytes without a TPM. TPM 2.0 Library, Part 2, 12.2.4 "TPMT_PUBLIC"; Part 1, "Names".

import { createHash } from "node:crypto";
import { MooringError } from "../errors.ts";

const algKeyedHash = 0x0008;
const algSha256 = 0x000b;
const attributeSign = 0x0004_0000;

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

function endOf2b(bytes: Buffer, start: number): number | undefined {
  if (start + 2 > bytes.length) return undefined;
  const end = start + 2 + bytes.readUInt16BE(start);
  return end <= bytes.length ? end : undefined;
}
