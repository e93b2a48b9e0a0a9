// The authentication key on the wire: an HMAC key that only one TPM can open. An inner key encrypts it; a credential
// (MakeCredential) gives that inner key to the endorsement key, and only if the storage root key is loaded beside it;
// a duplication wrap (inner and outer) gives the rest to the storage root key. TPM 2.0 Part 1, 23 and 24.

import { constants, createCipheriv, createHash, createHmac, publicEncrypt, randomBytes } from "node:crypto";
import { nameOf, type TpmPublic } from "./tpm-public.ts";

/** keyedHash, SHA-256, sign | userWithAuth | noDA, no policy, HMAC with SHA-256; `unique` follows. */
const hmacKeyTemplate = Buffer.from("0008000b0004044000000005000b", "hex");

/** TPMT_SENSITIVE of a keyedHash without an authorization value. */
const sensitiveHeader = Buffer.from("00080000", "hex");

export interface AuthenticationKeyParts {
  readonly endorsementKey: TpmPublic;
  readonly storageRootKey: TpmPublic;
  /** The HMAC key to hand over, 32 bytes. */
  readonly key: Buffer;
  /** What the key is good for; encrypted along, and read by no client. */
  readonly resource: string;
}

/** Base64 of six sized fields: credential, its seed, duplicate, its seed, public area, encrypted resource. */
export function sealAuthenticationKey(parts: AuthenticationKeyParts): string {
  const { endorsementKey, storageRootKey, key, resource } = parts;
  const innerKey = randomBytes(16);
  const object = hmacObject(key);
  const credential = makeCredential(endorsementKey, storageRootKey.name, innerKey);
  const duplicate = wrapDuplicate(storageRootKey, object, innerKey);
  return Buffer.concat([
    sized(credential.blob),
    sized(credential.seed),
    sized(duplicate.blob),
    sized(duplicate.seed),
    sized(object.area),
    sized(aesCfb(innerKey, Buffer.from(resource))),
  ]).toString("base64");
}

interface HmacObject {
  readonly area: Buffer;
  readonly name: Buffer;
  /** TPM2B_SENSITIVE. */
  readonly sensitive: Buffer;
}

function hmacObject(key: Buffer): HmacObject {
  const obfuscation = randomBytes(32);
  const area = Buffer.concat([hmacKeyTemplate, sized(sha256(obfuscation, key))]);
  const sensitive = sized(Buffer.concat([sensitiveHeader, sized(obfuscation), sized(key)]));
  return { area, name: nameOf(area), sensitive };
}

interface Sealed {
  readonly blob: Buffer;
  /** The secret that protects `blob`, encrypted to the key that may open it. */
  readonly seed: Buffer;
}

/** `secret`, for whoever holds `to` and an object of this `name` in one TPM. */
function makeCredential(to: TpmPublic, name: Buffer, secret: Buffer): Sealed {
  return sealOuter(to, "IDENTITY", name, sized(secret));
}

/** The object, encrypted with `innerKey` and again for the parent that may import it. */
function wrapDuplicate(parent: TpmPublic, object: HmacObject, innerKey: Buffer): Sealed {
  const integrity = sized(sha256(object.sensitive, object.name));
  const inner = aesCfb(innerKey, Buffer.concat([integrity, object.sensitive]));
  return sealOuter(parent, "DUPLICATE", object.name, inner);
}

/** Encrypt, then HMAC, both with keys derived from a fresh seed, and bound to `name`. */
function sealOuter(to: TpmPublic, purpose: "IDENTITY" | "DUPLICATE", name: Buffer, plain: Buffer): Sealed {
  const seed = randomBytes(32);
  const encrypted = aesCfb(kdfa(seed, "STORAGE", name, to.symmetricBits), plain);
  const integrity = createHmac("sha256", kdfa(seed, "INTEGRITY", Buffer.alloc(0), 256))
    .update(encrypted)
    .update(name)
    .digest();
  const oaep = { padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: "sha256" };
  const label = Buffer.from(`${purpose}\0`);
  return {
    blob: Buffer.concat([sized(integrity), encrypted]),
    seed: publicEncrypt({ key: to.key, ...oaep, oaepLabel: label }, seed),
  };
}

/** KDFa with SHA-256 and an empty contextV; one block is enough for up to 256 bits (Part 1, 11.4.10.2). */
function kdfa(key: Buffer, label: "STORAGE" | "INTEGRITY", context: Buffer, bits: number): Buffer {
  const block = createHmac("sha256", key)
    .update(u32(1))
    .update(`${label}\0`)
    .update(context)
    .update(u32(bits))
    .digest();
  return block.subarray(0, bits / 8);
}

/** Full-block CFB with an all-zero IV: every key encrypts one thing only. */
function aesCfb(key: Buffer, plain: Buffer): Buffer {
  const cipher = createCipheriv(`aes-${key.length * 8}-cfb`, key, Buffer.alloc(16));
  return Buffer.concat([cipher.update(plain), cipher.final()]);
}

function sha256(...parts: Buffer[]): Buffer {
  const hash = createHash("sha256");
  for (const part of parts) hash.update(part);
  return hash.digest();
}

function sized(bytes: Buffer): Buffer {
  const size = Buffer.alloc(2);
  size.writeUInt16BE(bytes.length);
  return Buffer.concat([size, bytes]);
}

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}
