// What a TPM does with an authentication key, in software, from the text of TPM 2.0 Part 1 (23, 24) and the byte
// layout of real answers; it shares nothing with the service. What it cannot open, no TPM can.

import {
  constants,
  createDecipheriv,
  createHash,
  createHmac,
  generateKeyPairSync,
  type KeyObject,
  privateDecrypt,
} from "node:crypto";

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(" ", ""), "hex");
const sha256 = (...parts: Buffer[]): Buffer => createHash("sha256").update(Buffer.concat(parts)).digest();
const hmac = (key: Buffer, ...parts: Buffer[]): Buffer =>
  createHmac("sha256", key).update(Buffer.concat(parts)).digest();

const ekPolicy = "837197674484b3f81a90cc8d46a5d724fd52d76e06520b64f2a1da1b331469aa";
const ekHeader = hex(`013a 0001 000b 000300b2 0020 ${ekPolicy} 0006 0080 0043 0010 0800 00000000 0100`);
const srkHeader = hex("011a 0001 000b 00030472 0000 0006 0080 0043 0010 0800 00000000 0100");

export interface SoftTpm {
  /** Base64 TPM2B_PUBLIC. */
  readonly endorsementKey: string;
  readonly storageRootKey: string;
  /** ActivateCredential and Import: the HMAC key inside, or an error that says where a TPM would have refused. */
  activate(authenticationKey: string): Buffer;
}

export function softTpm(): SoftTpm {
  const ek = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const srk = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const ekPublic = Buffer.concat([ekHeader, modulusOf(ek.publicKey)]);
  const srkPublic = Buffer.concat([srkHeader, modulusOf(srk.publicKey)]);
  return {
    endorsementKey: ekPublic.toString("base64"),
    storageRootKey: srkPublic.toString("base64"),
    activate(authenticationKey) {
      const [credential, credentialSeed, duplicate, duplicateSeed, area] = sizedFields(
        Buffer.from(authenticationKey, "base64"),
      ) as [Buffer, Buffer, Buffer, Buffer, Buffer];
      const srkName = Buffer.concat([hex("000b"), sha256(srkPublic.subarray(2))]);
      const innerKey = unsized(openOuter(ek.privateKey, "IDENTITY", srkName, credential, credentialSeed));

      const name = Buffer.concat([hex("000b"), sha256(area)]);
      const inner = cfb(innerKey, openOuter(srk.privateKey, "DUPLICATE", name, duplicate, duplicateSeed));
      const [integrity, sensitive] = sizedFields(inner) as [Buffer, Buffer];
      const whole = inner.subarray(34);
      if (!integrity.equals(sha256(whole, name))) throw new Error("inner integrity (TPM_RC_INTEGRITY)");
      if (!sensitive.subarray(0, 4).equals(hex("0008 0000"))) throw new Error("not a keyedHash without auth");
      const [obfuscation, key] = sizedFields(sensitive.subarray(4)) as [Buffer, Buffer];
      const unique = area.subarray(-32);
      if (!unique.equals(sha256(obfuscation, key))) throw new Error("unique (TPM_RC_BINDING)");
      return key;
    },
  };
}

/** A blob cut into its sized fields. */
export function sizedFields(bytes: Buffer): Buffer[] {
  const fields: Buffer[] = [];
  for (let at = 0; at < bytes.length; ) {
    const size = bytes.readUInt16BE(at);
    if (at + 2 + size > bytes.length) throw new Error("a size points behind the end");
    fields.push(bytes.subarray(at + 2, at + 2 + size));
    at += 2 + size;
  }
  return fields;
}

function openOuter(key: KeyObject, label: string, name: Buffer, blob: Buffer, encryptedSeed: Buffer): Buffer {
  const seed = privateDecrypt(
    {
      key,
      padding: constants.RSA_PKCS1_OAEP_PADDING,
      oaepHash: "sha256",
      oaepLabel: Buffer.from(`${label}\0`),
    },
    encryptedSeed,
  );
  const integrity = unsized(blob);
  const encrypted = blob.subarray(2 + integrity.length);
  const integrityKey = hmac(seed, hex("00000001"), Buffer.from("INTEGRITY\0"), hex("00000100"));
  if (!integrity.equals(hmac(integrityKey, encrypted, name)))
    throw new Error("outer integrity (TPM_RC_INTEGRITY)");
  const storageKey = hmac(seed, hex("00000001"), Buffer.from("STORAGE\0"), name, hex("00000080")).subarray(
    0,
    16,
  );
  return cfb(storageKey, encrypted);
}

function cfb(key: Buffer, encrypted: Buffer): Buffer {
  const decipher = createDecipheriv("aes-128-cfb", key, Buffer.alloc(16));
  return Buffer.concat([decipher.update(encrypted), decipher.final()]);
}

const unsized = (bytes: Buffer): Buffer => bytes.subarray(2, 2 + bytes.readUInt16BE(0));

const modulusOf = (key: KeyObject): Buffer => Buffer.from(key.export({ format: "jwk" }).n ?? "", "base64url");
