// The public areas that a device sends: its endorsement key and its storage root key, read from base64 TPM2B_PUBLIC
// (TPM 2.0 Part 2, 12.2). Only the RSA templates that DPS clients use are understood.

import { createHash, createPublicKey, type KeyObject } from "node:crypto";
import { Refusal } from "../refusal.ts";

export interface TpmPublic {
  /** TPMT_PUBLIC: without the size in front. */
  readonly area: Buffer;
  /** nameAlg ‖ digest of the area. */
  readonly name: Buffer;
  /** Bits of the AES key that protects its children. */
  readonly symmetricBits: 128 | 256;
  readonly key: KeyObject;
}

/** Three times what the largest one needs: room for line breaks, and none for mischief. */
const longestText = 2048;

const algorithm = { rsa: 0x0001, aes: 0x0006, sha256: 0x000b, null: 0x0010, cfb: 0x0043 } as const;

/** fixedTPM, fixedParent, sensitiveDataOrigin, restricted, decrypt: a storage key that never left its TPM. */
const storageKey = 0x00030032;
/** adminWithPolicy: use of an endorsement key needs the endorsement hierarchy. */
const endorsementKey = storageKey | 0x80;

/** `field` names the value in the refusal. */
export const readEndorsementKey = (base64: string, field: string): TpmPublic =>
  readPublic(base64, field, endorsementKey);

export const readStorageRootKey = (base64: string, field: string): TpmPublic =>
  readPublic(base64, field, storageKey);

/** Throws a 400000 that names `field` and what is wrong with it. */
function readPublic(base64: string, field: string, attributes: number): TpmPublic {
  const refuse = (what: string): never => {
    throw new Refusal(400000, `${field}: ${what}`);
  };
  if (base64.length > longestText) refuse("too long for a TPM2B_PUBLIC");
  const bytes = /^[A-Za-z0-9+/\s]+=*\s*$/.test(base64) ? Buffer.from(base64, "base64") : refuse("not base64");
  // TPM2B carries its size, and some tools leave it out; a bare TPMT begins with the type, which is 1.
  const sized = bytes.length > 2 && bytes.readUInt16BE(0) === bytes.length - 2;
  const area = sized ? bytes.subarray(2) : bytes;
  const reader = new Reader(area, () => refuse("not a complete TPM2B_PUBLIC"));
  const type = reader.u16();
  if (!sized && type !== algorithm.rsa) refuse("not a complete TPM2B_PUBLIC");
  if (type !== algorithm.rsa) refuse("not an RSA key; DPS knows no other");
  if (reader.u16() !== algorithm.sha256) refuse("its name algorithm is not SHA-256");
  if ((reader.u32() & attributes) !== attributes) refuse("its attributes are not those of such a key");
  reader.sized();
  if (reader.u16() !== algorithm.aes) refuse("it protects its children with something else than AES");
  const symmetricBits = reader.u16();
  if (symmetricBits !== 128 && symmetricBits !== 256) return refuse(`AES-${symmetricBits} does not exist`);
  if (reader.u16() !== algorithm.cfb) refuse("its symmetric mode is not CFB");
  if (reader.u16() !== algorithm.null) refuse("a storage key has no scheme");
  if (reader.u16() !== 2048) refuse("not an RSA key of 2048 bits");
  const exponent = reader.u32() || 65537;
  const modulus = reader.sized();
  if (modulus.length !== 256 || !reader.atEnd()) refuse("not a complete TPM2B_PUBLIC");
  return { area, name: nameOf(area), symmetricBits, key: rsaKey(modulus, exponent) };
}

/** Base64 TPM2B_PUBLIC, as devices send it. */
export function sizedPublic({ area }: TpmPublic): string {
  const size = Buffer.alloc(2);
  size.writeUInt16BE(area.length);
  return Buffer.concat([size, area]).toString("base64");
}

/** Name of an object whose nameAlg is SHA-256 (TPM 2.0 Part 1, 16). */
export const nameOf = (area: Buffer): Buffer =>
  Buffer.concat([Buffer.from([0, algorithm.sha256]), createHash("sha256").update(area).digest()]);

function rsaKey(modulus: Buffer, exponent: number): KeyObject {
  const e = Buffer.alloc(4);
  e.writeUInt32BE(exponent);
  const jwk = { kty: "RSA", n: modulus.toString("base64url"), e: e.toString("base64url") };
  return createPublicKey({ key: jwk, format: "jwk" });
}

/** Big-endian fields from the front. */
class Reader {
  readonly #bytes: Buffer;
  readonly #tooShort: () => never;
  #at = 0;

  constructor(bytes: Buffer, tooShort: () => never) {
    this.#bytes = bytes;
    this.#tooShort = tooShort;
  }

  u16(): number {
    return this.#take(2).readUInt16BE();
  }

  u32(): number {
    return this.#take(4).readUInt32BE();
  }

  sized(): Buffer {
    return this.#take(this.u16());
  }

  atEnd(): boolean {
    return this.#at === this.#bytes.length;
  }

  #take(length: number): Buffer {
    const from = this.#at;
    this.#at += length;
    return this.#at > this.#bytes.length ? this.#tooShort() : this.#bytes.subarray(from, this.#at);
  }
}
