// Certificates from PEM, in the order that TLS sends them, and what the leaf says about itself.

import { createHash, type KeyObject, X509Certificate } from "node:crypto";
import { MooringError } from "../errors.ts";

export interface CertificateFacts {
  readonly subject: string;
  readonly issuer: string;
  readonly commonName: string | undefined;
  /** Hex in capitals, as the thumbprints. */
  readonly serialNumber: string;
  /** ISO 8601, UTC. */
  readonly notBefore: string;
  readonly notAfter: string;
  readonly sha1Thumbprint: string;
  readonly sha256Thumbprint: string;
  /** `RSA 2048`, `EC P-256`, … */
  readonly keyType: string;
  /** Certificates that are sent, the leaf included. */
  readonly chainLength: number;
  /** Whole days until notAfter; negative after it. */
  readonly daysLeft: number;
}

const dayMs = 86_400_000;
const pemBlock = /-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g;

/** The certificates of a PEM file in their order there. Throws ERR_IDENTITY_INVALID when there is none, or a broken one. */
export function parseCertificates(pem: string, path: string): X509Certificate[] {
  const blocks = pem.match(pemBlock);
  if (!blocks) {
    throw new MooringError("ERR_IDENTITY_INVALID", `there is no PEM certificate in ${path}`, { path });
  }
  return blocks.map((block, index) => {
    try {
      return new X509Certificate(block);
    } catch (cause) {
      throw new MooringError("ERR_IDENTITY_INVALID", `certificate ${index + 1} in ${path} is damaged`, {
        cause,
        path,
      });
    }
  });
}

/**
 * Leaf first, then each one's issuer, wherever they stood; certificates that lead nowhere are left out. The leaf is the
 * one that issued none of the others; where that is not one alone, such as beside the root of another chain, it is the
 * one that `key` belongs to. Throws ERR_IDENTITY_INVALID when it cannot be told, and what `key` throws.
 */
export async function orderChain(
  certificates: readonly X509Certificate[],
  path: string,
  key: () => Promise<KeyObject>,
): Promise<[X509Certificate, ...X509Certificate[]]> {
  const distinct = [...new Map(certificates.map((one) => [one.fingerprint256, one])).values()];
  const chain: [X509Certificate, ...X509Certificate[]] = [await leafOf(distinct, path, key)];
  for (let at: X509Certificate | undefined = chain[0]; at; ) {
    const below: X509Certificate = at;
    at = distinct.find((one) => !chain.includes(one) && below.checkIssued(one));
    if (at) chain.push(at);
  }
  return chain;
}

async function leafOf(
  certificates: readonly X509Certificate[],
  path: string,
  key: () => Promise<KeyObject>,
): Promise<X509Certificate> {
  const ends = certificates.filter(
    (one) => !certificates.some((other) => other !== one && other.checkIssued(one)),
  );
  const [only, another] = ends;
  if (only && !another) return only;

  const privateKey = await key();
  const fitting = certificates.filter((one) => one.checkPrivateKey(privateKey));
  const [leaf, second] = fitting;
  if (leaf && !second) return leaf;
  const why =
    leaf && second
      ? `both ${commonNameOf(leaf)} and ${commonNameOf(second)} could be it`
      : "the private key belongs to none there";
  throw new MooringError("ERR_IDENTITY_INVALID", `cannot tell the device's certificate in ${path}: ${why}`, {
    path,
    hint: "leave one device certificate and its issuers in the file named",
  });
}

export function factsOf(
  [leaf, ...issuers]: readonly [X509Certificate, ...X509Certificate[]],
  now: number,
): CertificateFacts {
  const thumbprint = (algorithm: string): string =>
    createHash(algorithm).update(leaf.raw).digest("hex").toUpperCase();
  return {
    subject: oneLine(leaf.subject),
    issuer: oneLine(leaf.issuer),
    commonName: commonNameOf(leaf),
    serialNumber: leaf.serialNumber.toUpperCase(),
    notBefore: leaf.validFromDate.toISOString(),
    notAfter: leaf.validToDate.toISOString(),
    sha1Thumbprint: thumbprint("sha1"),
    sha256Thumbprint: thumbprint("sha256"),
    keyType: keyTypeOf(leaf.publicKey),
    chainLength: 1 + issuers.length,
    daysLeft: Math.floor((leaf.validToDate.getTime() - now) / dayMs),
  };
}

/** The subject's common name; undefined when there is none, or more than one. */
export function commonNameOf(certificate: X509Certificate): string | undefined {
  // Node 24 leaves node:tls without half of its functions when toLegacyObject() runs before it is loaded.
  process.getBuiltinModule("node:tls");
  const { CN } = certificate.toLegacyObject().subject as { CN?: unknown };
  return typeof CN === "string" && CN !== "" ? CN : undefined;
}

/** Hex SHA-256 of the SubjectPublicKeyInfo. */
export function publicKeySha256(certificate: X509Certificate): string {
  return createHash("sha256")
    .update(certificate.publicKey.export({ type: "spki", format: "der" }))
    .digest("hex");
}

const curves: Readonly<Record<string, string>> = {
  prime256v1: "P-256",
  secp384r1: "P-384",
  secp521r1: "P-521",
};

/** `RSA 2048`, `EC P-256`, … */
export function keyTypeOf({ asymmetricKeyType, asymmetricKeyDetails }: KeyObject): string {
  const { modulusLength, namedCurve = "" } = asymmetricKeyDetails ?? {};
  if (asymmetricKeyType === "rsa") return `RSA ${modulusLength}`;
  if (asymmetricKeyType === "ec") return `EC ${curves[namedCurve] ?? namedCurve}`;
  return String(asymmetricKeyType);
}

const oneLine = (name: string | undefined): string => (name ?? "").split("\n").join(", ");
