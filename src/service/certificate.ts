// Issues X.509 certificates for the service's own use: a CA and the server certificate beneath it. forge lays out
// the DER, node:crypto makes the keys and signs; neither can do both for elliptic curves.

import { createHash, createPublicKey, type KeyObject, randomBytes, sign } from "node:crypto";
import { isIP } from "node:net";
import forge from "node-forge";
import { MooringError } from "../errors.ts";

const { asn1 } = forge;
const { Class, Type } = asn1;
type Asn1 = forge.asn1.Asn1;

const oids = {
  commonName: "2.5.4.3",
  ecdsaWithSha256: "1.2.840.10045.4.3.2",
  subjectKeyIdentifier: "2.5.29.14",
  keyUsage: "2.5.29.15",
  subjectAltName: "2.5.29.17",
  basicConstraints: "2.5.29.19",
  authorityKeyIdentifier: "2.5.29.35",
  extKeyUsage: "2.5.29.37",
  serverAuth: "1.3.6.1.5.5.7.3.1",
};

/** The bits of KeyUsage that we set, in the first octet of the BIT STRING (RFC 5280, 4.2.1.3). */
const keyUsageBits = { digitalSignature: 0x80, keyCertSign: 0x04, cRLSign: 0x02 };

interface Certified {
  /** Common names. */
  readonly subject: string;
  readonly issuer: string;
  /** EC P-256; its public half is certified. */
  readonly key: KeyObject;
  readonly issuerKey: KeyObject;
  /** ms since 1970. */
  readonly notBefore: number;
  readonly notAfter: number;
}

/** A self-signed CA that may issue end-entity certificates only. PEM. */
export function issueAuthority(ca: Omit<Certified, "issuer" | "issuerKey">): string {
  return issue({ ...ca, issuer: ca.subject, issuerKey: ca.key }, [
    extension(oids.basicConstraints, sequence(boolean(true), integer("\x00")), { critical: true }),
    extension(oids.keyUsage, keyUsage(keyUsageBits.keyCertSign | keyUsageBits.cRLSign), { critical: true }),
    extension(oids.subjectKeyIdentifier, octets(keyIdentifier(ca.key))),
  ]);
}

/** A TLS server certificate for `names`: DNS names (wildcards too), IPv4 and IPv6 addresses. PEM. */
export function issueServerCertificate(server: Certified, names: readonly string[]): string {
  return issue(server, [
    extension(oids.basicConstraints, sequence(), { critical: true }),
    extension(oids.keyUsage, keyUsage(keyUsageBits.digitalSignature), { critical: true }),
    extension(oids.extKeyUsage, sequence(oid(oids.serverAuth))),
    extension(oids.subjectAltName, sequence(...names.map(generalName))),
    extension(oids.subjectKeyIdentifier, octets(keyIdentifier(server.key))),
    extension(oids.authorityKeyIdentifier, sequence(implicit(0, keyIdentifier(server.issuerKey)))),
  ]);
}

function issue(certified: Certified, extensions: Asn1[]): string {
  const algorithm = sequence(oid(oids.ecdsaWithSha256));
  const toBeSigned = sequence(
    explicit(0, integer("\x02")), // v3
    integer(serialNumber()),
    algorithm,
    commonName(certified.issuer),
    sequence(time(certified.notBefore), time(certified.notAfter)),
    commonName(certified.subject),
    asn1.fromDer(publicKeyDer(certified.key).toString("binary")),
    explicit(3, sequence(...extensions)),
  );
  const signature = sign("sha256", derOf(toBeSigned), certified.issuerKey).toString("binary");
  const certificate = sequence(toBeSigned, algorithm, primitive(Type.BITSTRING, `\x00${signature}`));
  const lines = derOf(certificate)
    .toString("base64")
    .match(/.{1,64}/g) as string[];
  return `-----BEGIN CERTIFICATE-----\n${lines.join("\n")}\n-----END CERTIFICATE-----\n`;
}

/** 127 random bits behind a leading 01, so that the INTEGER is positive and of the shortest form. */
function serialNumber(): string {
  const bytes = randomBytes(16);
  bytes[0] = ((bytes[0] as number) & 0x3f) | 0x40;
  return bytes.toString("binary");
}

function publicKeyDer(key: KeyObject): Buffer {
  const publicKey = key.type === "private" ? createPublicKey(key) : key;
  return publicKey.export({ type: "spki", format: "der" });
}

/** RFC 7093, method 1: the leftmost 160 bits of the SHA-256 of the public key. */
function keyIdentifier(key: KeyObject): string {
  const point = publicKeyDer(key).subarray(-65); // P-256, uncompressed: the last field of SubjectPublicKeyInfo
  return createHash("sha256").update(point).digest().subarray(0, 20).toString("binary");
}

function generalName(name: string): Asn1 {
  if (isIP(name)) return implicit(7, addressBytes(name).toString("binary"));
  const label = "[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?";
  if (name.length > 253 || !new RegExp(`^(\\*\\.)?${label}(\\.${label})*$`, "i").test(name)) {
    throw new MooringError(
      "ERR_USAGE",
      `cannot certify "${name}": it is neither a host name nor an IP address`,
      {
        hint: "give --hostname a DNS name such as dps.example.org, or an IP address",
      },
    );
  }
  return implicit(2, name);
}

/** 4 or 16 bytes in network order. */
export function addressBytes(address: string): Buffer {
  if (isIP(address) === 4) return Buffer.from(address.split(".").map(Number));
  // URL brings every spelling, also those with an IPv4 tail, into groups of hex digits with at most one "::".
  const [head = "", tail = ""] = new URL(`http://[${address}]`).hostname.slice(1, -1).split("::");
  const groupsOf = (part: string): string[] => (part === "" ? [] : part.split(":"));
  const missing = 8 - groupsOf(head).length - groupsOf(tail).length;
  const groups = [...groupsOf(head), ...Array<string>(missing).fill("0"), ...groupsOf(tail)];
  return Buffer.from(groups.map((group) => group.padStart(4, "0")).join(""), "hex");
}

function keyUsage(bits: number): Asn1 {
  const unusedBits = Math.clz32(bits & -bits) ^ 31;
  return primitive(Type.BITSTRING, String.fromCharCode(unusedBits, bits));
}

/** RFC 5280, 4.1.2.5: UTCTime through 2049, GeneralizedTime from 2050. */
function time(ms: number): Asn1 {
  const date = new Date(ms);
  return date.getUTCFullYear() < 2050
    ? primitive(Type.UTCTIME, asn1.dateToUtcTime(date) as string)
    : primitive(Type.GENERALIZEDTIME, asn1.dateToGeneralizedTime(date) as string);
}

function extension(id: string, value: Asn1, { critical = false } = {}): Asn1 {
  const encoded = octets(asn1.toDer(value).getBytes());
  return critical ? sequence(oid(id), boolean(true), encoded) : sequence(oid(id), encoded);
}

const derOf = (value: Asn1): Buffer => Buffer.from(asn1.toDer(value).getBytes(), "binary");
const primitive = (type: forge.asn1.Type, bytes: string): Asn1 =>
  asn1.create(Class.UNIVERSAL, type, false, bytes);
const sequence = (...items: Asn1[]): Asn1 => asn1.create(Class.UNIVERSAL, Type.SEQUENCE, true, items);
const explicit = (tag: number, item: Asn1): Asn1 => asn1.create(Class.CONTEXT_SPECIFIC, tag, true, [item]);
const implicit = (tag: number, bytes: string): Asn1 => asn1.create(Class.CONTEXT_SPECIFIC, tag, false, bytes);
const integer = (bytes: string): Asn1 => primitive(Type.INTEGER, bytes);
const octets = (bytes: string): Asn1 => primitive(Type.OCTETSTRING, bytes);
const boolean = (value: boolean): Asn1 => primitive(Type.BOOLEAN, value ? "\xff" : "\x00");
const oid = (id: string): Asn1 => primitive(Type.OID, asn1.oidToDer(id).getBytes());
const commonName = (name: string): Asn1 =>
  sequence(
    asn1.create(Class.UNIVERSAL, Type.SET, true, [
      sequence(oid(oids.commonName), primitive(Type.UTF8, name)),
    ]),
  );
