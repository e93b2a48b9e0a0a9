// The service's half of TPM attestation, in software and independent of the program: MakeCredential and Duplicate with
// inner and outer wrapping. TPM 2.0 Library, Part 1, "Credential Protection", "Duplication", "KDFa".

import {
  constants,
  createCipheriv,
  createHash,
  createHmac,
  createPublicKey,
  publicEncrypt,
  randomBytes,
} from "node:crypto";

const sha256 = (...parts: Buffer[]): Buffer => createHash("sha256").update(Buffer.concat(parts)).digest();
const hmac = (key: Buffer, ...parts: Buffer[]): Buffer =>
  createHmac("sha256", key).update(Buffer.concat(parts)).digest();

function u16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16BE(value);
  return bytes;
}

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

const tpm2b = (content: Buffer): Buffer => Buffer.concat([u16(content.length), content]);
const nameOf = (publicArea: Buffer): Buffer => Buffer.concat([u16(0x000b), sha256(publicArea)]);

function kdfa(key: Buffer, label: string, context: Buffer, bits: number): Buffer {
  return hmac(key, u32(1), Buffer.from(`${label}\0`), context, u32(bits)).subarray(0, bits / 8);
}

function aesCfb(key: Buffer, plaintext: Buffer): Buffer {
  const cipher = createCipheriv("aes-128-cfb", key, Buffer.alloc(16));
  return Buffer.concat([cipher.update(plaintext), cipher.final()]);
}

/** RSAES-OAEP to the RSA key of a TPM2B_PUBLIC, whose modulus comes last. */
function encryptTo(publicKey: Buffer, label: string, secret: Buffer): Buffer {
  const n = publicKey.subarray(-256).toString("base64url");
  const key = createPublicKey({ key: { kty: "RSA", n, e: "AQAB" }, format: "jwk" });
  const padding = constants.RSA_PKCS1_OAEP_PADDING;
  return publicEncrypt({ key, padding, oaepHash: "sha256", oaepLabel: Buffer.from(`${label}\0`) }, secret);
}

/** Encrypts and authenticates under a seed: TPM2B_DIGEST ‖ ciphertext, bound to a Name. */
function protect(seed: Buffer, name: Buffer, plaintext: Buffer): Buffer {
  const encrypted = aesCfb(kdfa(seed, "STORAGE", name, 128), plaintext);
  const integrity = hmac(kdfa(seed, "INTEGRITY", Buffer.alloc(0), 256), encrypted, name);
  return Buffer.concat([tpm2b(integrity), encrypted]);
}

export interface AuthenticationKeyOptions {
  /** The HMAC key to hand over, 32 bytes. */
  readonly key: Buffer;
  /** TPM2B_PUBLIC of the TPM that may activate it. */
  readonly endorsementKey: Buffer;
  readonly storageRootKey: Buffer;
  /** The inner wrapping key; random by default. */
  readonly wrappingKey?: Buffer;
  /** Public area of the HMAC key, to break it. */
  readonly alterPublic?: (publicArea: Buffer) => Buffer;
}

export function makeAuthenticationKey(options: AuthenticationKeyOptions): Buffer {
  const { key, endorsementKey, storageRootKey, wrappingKey = randomBytes(16) } = options;

  const objectSeed = randomBytes(32);
  const unique = sha256(objectSeed, key);
  const template = Buffer.from("0008000b000404400000" + "0005000b", "hex");
  const publicArea = (options.alterPublic ?? ((same) => same))(Buffer.concat([template, tpm2b(unique)]));
  const sensitive = tpm2b(Buffer.concat([u16(0x0008), u16(0), tpm2b(objectSeed), tpm2b(key)]));
  const name = nameOf(publicArea);

  const inner = aesCfb(wrappingKey, Buffer.concat([tpm2b(sha256(sensitive, name)), sensitive]));
  const duplicateSeed = randomBytes(32);
  const duplicate = protect(duplicateSeed, name, inner);

  const credentialSeed = randomBytes(32);
  const credential = protect(credentialSeed, nameOf(storageRootKey.subarray(2)), tpm2b(wrappingKey));

  return Buffer.concat([
    tpm2b(credential),
    tpm2b(encryptTo(endorsementKey, "IDENTITY", credentialSeed)),
    tpm2b(duplicate),
    tpm2b(encryptTo(storageRootKey, "DUPLICATE", duplicateSeed)),
    tpm2b(publicArea),
    tpm2b(aesCfb(wrappingKey, Buffer.from("https://localhost/0ne00000000/registrations/gw"))),
  ]);
}
