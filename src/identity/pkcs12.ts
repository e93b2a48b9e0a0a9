// A PKCS#12 archive (RFC 7292): certificates and one private key under a password. forge reads the structure and
// undoes the encryptions, old RC2 included; what comes out goes to node:crypto, because forge knows no EC.

import { createHmac, createPrivateKey, type KeyObject, timingSafeEqual, X509Certificate } from "node:crypto";
import forge from "node-forge";
import { MooringError } from "../errors.ts";
import type { Secret } from "../system/secret.ts";

export interface Archive {
  readonly certificates: readonly X509Certificate[];
  readonly privateKey: KeyObject;
}

type Node = forge.asn1.Asn1;

interface Bag {
  readonly kind: string;
  readonly value: Node;
}

const oid = {
  data: "1.2.840.113549.1.7.1",
  encryptedData: "1.2.840.113549.1.7.6",
  keyBag: "1.2.840.113549.1.12.10.1.1",
  shroudedKeyBag: "1.2.840.113549.1.12.10.1.2",
  certificateBag: "1.2.840.113549.1.12.10.1.3",
  pbes2: "1.2.840.113549.1.5.13",
} as const;

const macDigests: Readonly<Record<string, "sha1" | "sha256" | "sha384" | "sha512">> = {
  "1.3.14.3.2.26": "sha1",
  "2.16.840.1.101.3.4.2.1": "sha256",
  "2.16.840.1.101.3.4.2.2": "sha384",
  "2.16.840.1.101.3.4.2.3": "sha512",
};

/** forge's types leave this part out. */
const { pbe } = forge.pki as unknown as {
  pbe: { getCipher(id: string, parameters: Node, password: string): forge.cipher.BlockCipher };
};

/** Throws ERR_KEY_PASSWORD when the password does not fit, ERR_IDENTITY_INVALID when it is no archive with a key. */
export function openPkcs12(content: Buffer, password: Secret | undefined, path: string): Archive {
  try {
    return readArchive(content, password?.reveal().toString() ?? "", path);
  } catch (cause) {
    if (cause instanceof MooringError && cause.details.path !== undefined) throw cause;
    throw new MooringError("ERR_IDENTITY_INVALID", `cannot read the PKCS#12 archive ${path}`, {
      cause,
      path,
    });
  }
}

function readArchive(content: Buffer, password: string, path: string): Archive {
  const [, authenticated, mac] = children(fromDer(content.toString("latin1")));
  const [, safes] = children(authenticated);
  const signed = octets(children(safes)[0]);
  if (mac && !macFits(mac, signed, password)) {
    throw new MooringError("ERR_KEY_PASSWORD", `the password does not open the PKCS#12 archive ${path}`, {
      path,
    });
  }

  const bags = children(fromDer(signed)).flatMap((safe) => bagsIn(safe, password));
  const certificates = bags.filter(({ kind }) => kind === oid.certificateBag).map(certificateIn);
  const [privateKey] = bags.flatMap((bag) => privateKeyIn(bag, password));
  if (!privateKey) {
    throw new MooringError("ERR_IDENTITY_INVALID", `there is no private key in the PKCS#12 archive ${path}`, {
      path,
    });
  }
  return { certificates, privateKey };
}

function macFits(mac: Node, signed: string, password: string): boolean {
  const [digestInfo, saltNode, iterationsNode] = children(mac);
  const [algorithm, expected] = children(digestInfo);
  const digest = macDigests[objectId(children(algorithm)[0])];
  if (!digest) throw unreadable(`its integrity check ${objectId(children(algorithm)[0])} is not supported`);
  const iterations = iterationsNode
    ? forge.asn1.derToInteger(forge.util.createBuffer(octets(iterationsNode)))
    : 1;
  const message = forge.md[digest].create();
  const salt = forge.util.createBuffer(octets(saltNode));
  const key = forge.pkcs12.generateKey(password, salt, 3, iterations, message.digestLength, message);
  const actual = createHmac(digest, bytes(key.getBytes())).update(bytes(signed)).digest();
  const wanted = bytes(octets(expected));
  return actual.length === wanted.length && timingSafeEqual(actual, wanted);
}

function bagsIn(safe: Node, password: string): Bag[] {
  const [kind, wrapped] = children(safe);
  const inner = children(wrapped)[0];
  if (objectId(kind) === oid.data) return bags(octets(inner));
  if (objectId(kind) !== oid.encryptedData)
    throw unreadable(`content of type ${objectId(kind)} is not supported`);
  const [, encrypted] = children(inner);
  const [, algorithm, content] = children(encrypted);
  return bags(decrypt(algorithm, octets(content), password));
}

function bags(contents: string): Bag[] {
  return children(fromDer(contents)).map((bag) => {
    const [kind, wrapped] = children(bag);
    const [value] = children(wrapped);
    if (!value) throw unreadable("a bag is empty");
    return { kind: objectId(kind), value };
  });
}

function certificateIn({ value }: Bag): X509Certificate {
  const [, wrapped] = children(value);
  return new X509Certificate(bytes(octets(children(wrapped)[0])));
}

function privateKeyIn({ kind, value }: Bag, password: string): KeyObject[] {
  if (kind === oid.keyBag) return [pkcs8(forge.asn1.toDer(value).getBytes())];
  if (kind !== oid.shroudedKeyBag) return [];
  const [algorithm, encrypted] = children(value);
  return [pkcs8(decrypt(algorithm, octets(encrypted), password))];
}

const pkcs8 = (der: string): KeyObject => createPrivateKey({ key: bytes(der), format: "der", type: "pkcs8" });

/** PKCS#12's own schemes take the password as UTF-16, PBES2 as UTF-8. */
function decrypt(algorithm: Node | undefined, content: string, password: string): string {
  const [idNode, parameters] = children(algorithm);
  const id = objectId(idNode);
  if (!parameters) throw unreadable("an encryption has no parameters");
  const cipher = pbe.getCipher(id, parameters, id === oid.pbes2 ? forge.util.encodeUtf8(password) : password);
  cipher.update(forge.util.createBuffer(content));
  if (!cipher.finish()) throw unreadable("the content cannot be decrypted");
  return cipher.output.getBytes();
}

const fromDer = (der: string): Node => forge.asn1.fromDer(forge.util.createBuffer(der));
const bytes = (binary: string): Buffer => Buffer.from(binary, "latin1");

function children(node: Node | undefined): Node[] {
  if (!node || !Array.isArray(node.value)) throw unreadable("its structure is damaged");
  return node.value;
}

/** BER may cut an octet string into pieces. */
function octets(node: Node | undefined): string {
  if (!node) throw unreadable("its structure is damaged");
  return Array.isArray(node.value) ? node.value.map(octets).join("") : node.value;
}

const objectId = (node: Node | undefined): string => forge.asn1.derToOid(octets(node));

/** Why an archive cannot be read; openPkcs12() adds which. */
const unreadable = (why: string): MooringError => new MooringError("ERR_IDENTITY_INVALID", why);
