// What a device certificate says about itself, and whether DPS will take it. Reading is node:crypto's; only the key
// usage, which it does not show, is looked up here.

import { createHash, type KeyObject, X509Certificate } from "node:crypto";
import { MooringError } from "../errors.ts";
import { maySign } from "./key-usage.ts";

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
 * Leaf first, then each one's issuer, wherever they stood. The leaf is the one that issued none of the others;
 * certificates that lead nowhere are left out. Throws ERR_IDENTITY_INVALID when two could be the leaf.
 */
export function orderChain(
  certificates: readonly X509Certificate[],
  path: string,
): [X509Certificate, ...X509Certificate[]] {
  const distinct = [...new Map(certificates.map((one) => [one.fingerprint256, one])).values()];
  const [leaf, second] = distinct.filter(
    (one) => !distinct.some((other) => other !== one && other.checkIssued(one)),
  );
  if (!leaf || second) {
    const why =
      leaf && second ? `both ${commonNameOf(leaf)} and ${commonNameOf(second)} could be it` : "there is none";
    throw new MooringError(
      "ERR_IDENTITY_INVALID",
      `cannot tell the device's certificate in ${path}: ${why}`,
      {
        path,
        hint: "leave one device certificate and its issuers in the file named",
      },
    );
  }
  const chain: [X509Certificate, ...X509Certificate[]] = [leaf];
  for (let at: X509Certificate | undefined = leaf; at; ) {
    const below: X509Certificate = at;
    at = distinct.find((one) => !chain.includes(one) && below.checkIssued(one));
    if (at) chain.push(at);
  }
  return chain;
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
  const { CN } = certificate.toLegacyObject().subject as { CN?: unknown };
  return typeof CN === "string" && CN !== "" ? CN : undefined;
}

/** Hex SHA-256 of the SubjectPublicKeyInfo. */
export function publicKeySha256(certificate: X509Certificate): string {
  return createHash("sha256")
    .update(certificate.publicKey.export({ type: "spki", format: "der" }))
    .digest("hex");
}

/**
 * Refuses what DPS or TLS would refuse later and less clearly: a key of a wrong kind, a certificate that is not for
 * clients, one whose time is over (ERR_CERTIFICATE_EXPIRED) or has not come (ERR_CERTIFICATE_NOT_YET_VALID).
 */
export function requireUsable(certificate: X509Certificate, path: string, now: number): void {
  const refuse = (why: string): never => {
    throw new MooringError(
      "ERR_IDENTITY_INVALID",
      `the certificate in ${path} cannot identify this device: ${why}`,
      { path },
    );
  };
  const keyType = keyTypeOf(certificate.publicKey);
  if (!acceptable.test(keyType))
    refuse(`its key is ${keyType}; RSA from 2048 bits, EC P-256 and EC P-384 work`);
  const purposes = certificate.keyUsage;
  if (purposes && !purposes.includes(clientAuthentication) && !purposes.includes(anyPurpose)) {
    refuse("its extended key usage does not name TLS client authentication");
  }
  if (maySign(certificate.raw) === false) refuse("its key usage does not name digital signatures");

  const { validFromDate, validToDate } = certificate;
  const clock = `this machine's clock says ${new Date(now).toISOString()}`;
  if (now < validFromDate.getTime()) {
    const message = `the certificate in ${path} is valid from ${validFromDate.toISOString()}; ${clock}`;
    throw new MooringError("ERR_CERTIFICATE_NOT_YET_VALID", message, { path });
  }
  if (now > validToDate.getTime()) {
    const message = `the certificate in ${path} was valid until ${validToDate.toISOString()}; ${clock}`;
    throw new MooringError("ERR_CERTIFICATE_EXPIRED", message, { path });
  }
}

const clientAuthentication = "1.3.6.1.5.5.7.3.2";
const anyPurpose = "2.5.29.37.0";
const acceptable = /^(?:RSA (?:20[4-9]\d|2[1-9]\d\d|[3-9]\d{3}|1\d{4})|EC P-(?:256|384))$/;
const curves: Readonly<Record<string, string>> = {
  prime256v1: "P-256",
  secp384r1: "P-384",
  secp521r1: "P-521",
};

function keyTypeOf({ asymmetricKeyType, asymmetricKeyDetails }: KeyObject): string {
  const { modulusLength, namedCurve = "" } = asymmetricKeyDetails ?? {};
  if (asymmetricKeyType === "rsa") return `RSA ${modulusLength}`;
  if (asymmetricKeyType === "ec") return `EC ${curves[namedCurve] ?? namedCurve}`;
  return String(asymmetricKeyType);
}

const oneLine = (name: string | undefined): string => (name ?? "").split("\n").join(", ");
