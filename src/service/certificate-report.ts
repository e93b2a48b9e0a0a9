// What a certificate says, before it is enrolled: its facts for a person to compare, and what would keep devices out
// that the service API itself accepts without a word.

import type { KeyObject, X509Certificate } from "node:crypto";
import { describeCertificate, isIssuedBy } from "./attestation/certificates.ts";
import { commonName } from "./attestation/common-name.ts";
import { readCertificates } from "./certificate-file.ts";

/** What the certificate is wanted for: an individual enrollment, or a group. */
export type CertificateUse = "device" | "ca";

interface CertificateFacts {
  readonly subject: string;
  readonly issuer: string;
  readonly commonName?: string;
  readonly sha1Thumbprint: string;
  readonly sha256Thumbprint: string;
  readonly notBeforeUtc: string;
  readonly notAfterUtc: string;
  readonly isCa: boolean;
  /** Such as `EC P-256` or `RSA 2048`. */
  readonly keyKind: string;
  readonly serialNumber: string;
}

export interface CertificateReport {
  /** In the order of the file; the first is the one that would be enrolled. */
  readonly certificates: readonly CertificateFacts[];
  /** Sentences for people; none when all is well. */
  readonly problems: readonly string[];
}

/** `file` is PEM, DER, or base64 of either. Nothing of it is kept. `now` in ms since 1970. */
export function reportCertificate(
  file: Buffer,
  { use, now }: { use?: CertificateUse | undefined; now: number },
): CertificateReport {
  const { certificates, problems } = readCertificates(file);
  const [first] = certificates;
  return {
    certificates: certificates.map(factsOf),
    problems: [
      ...problems,
      ...certificates.flatMap((each) => problemsOf(each, now)),
      ...chainProblems(certificates),
      ...(first && use ? problemsOfUse[use](first) : []),
    ],
  };
}

function factsOf(certificate: X509Certificate): CertificateFacts {
  const { subjectName, issuerName, version: _, ...facts } = describeCertificate(certificate);
  const name = commonName(certificate);
  return {
    subject: subjectName,
    issuer: issuerName,
    ...(name !== undefined && { commonName: name }),
    isCa: certificate.ca,
    keyKind: keyKind(publicKeyOf(certificate)),
    ...facts,
  };
}

/** Undefined for kinds of keys that OpenSSL does not know. */
function publicKeyOf(certificate: X509Certificate): KeyObject | undefined {
  try {
    return certificate.publicKey;
  } catch {
    return undefined;
  }
}

const curves: Readonly<Record<string, string>> = {
  prime256v1: "P-256",
  secp384r1: "P-384",
  secp521r1: "P-521",
};

function keyKind(key: KeyObject | undefined): string {
  const { namedCurve = "", modulusLength = 0 } = key?.asymmetricKeyDetails ?? {};
  if (key?.asymmetricKeyType === "ec") return `EC ${curves[namedCurve] ?? namedCurve}`;
  if (key?.asymmetricKeyType === "rsa") return `RSA ${modulusLength}`;
  return key?.asymmetricKeyType ?? "unknown";
}

/** The identifiers of signatures that nobody trusts any more, as they stand in DER (RFC 3279, RFC 5758). */
const brokenSignatures: Readonly<Record<string, Buffer>> = {
  "MD5 and RSA": Buffer.from("06092a864886f70d010104", "hex"),
  "SHA-1 and RSA": Buffer.from("06092a864886f70d010105", "hex"),
  "SHA-1 and ECDSA": Buffer.from("06072a8648ce3d0401", "hex"),
};

function problemsOf(certificate: X509Certificate, now: number): string[] {
  const name = nameOf(certificate);
  const problems: string[] = [];
  if (certificate.validToDate.getTime() <= now) {
    problems.push(`${name} expired on ${day(certificate.validToDate)}; the service lets nobody in with it.`);
  }
  if (certificate.validFromDate.getTime() > now) {
    problems.push(`${name} is not valid before ${day(certificate.validFromDate)}.`);
  }
  const kind = keyKind(publicKeyOf(certificate));
  const bits = Number(/^RSA (\d+)$/.exec(kind)?.[1] ?? Number.POSITIVE_INFINITY);
  if (bits < 2048) problems.push(`${name} has an RSA key of only ${bits} bits; use 2048 at least.`);
  if (!/^(EC P-|RSA )/.test(kind)) {
    problems.push(
      `${name} has a key of the kind ${kind}; DPS takes RSA, and EC over P-256, P-384 and P-521.`,
    );
  }
  for (const [signature, mark] of Object.entries(brokenSignatures)) {
    if (!certificate.raw.includes(mark)) continue;
    problems.push(`${name} is signed with ${signature}, which TLS refuses; have it issued anew.`);
  }
  return problems;
}

/** A file with more than one certificate should go from the device up to its root. */
function chainProblems(certificates: readonly X509Certificate[]): string[] {
  return certificates.slice(0, -1).flatMap((certificate, at) => {
    const issuer = certificates[at + 1] as X509Certificate;
    return isIssuedBy(certificate, issuer)
      ? []
      : [`${nameOf(certificate)} is not signed by ${nameOf(issuer)}, which follows it in the file.`];
  });
}

const clientAuthentication = "1.3.6.1.5.5.7.3.2";

const problemsOfUse: Readonly<Record<CertificateUse, (certificate: X509Certificate) => string[]>> = {
  device: (certificate) => {
    const problems: string[] = [];
    const name = nameOf(certificate);
    if (certificate.ca) {
      problems.push(
        `${name} is a CA certificate: enroll it as a group, and a device by its own certificate.`,
      );
    } else if (isIssuedBy(certificate, certificate)) {
      problems.push(`${name} is signed by itself: good for tests, but nobody vouches for the device.`);
    }
    if (commonName(certificate) === undefined) {
      problems.push("It has no common name, or several; an individual enrollment is found by that one name.");
    }
    // What Node calls keyUsage is the extended one.
    const usages = certificate.keyUsage as readonly string[] | undefined;
    if (usages && !usages.includes(clientAuthentication)) {
      problems.push(`${name} is not meant for TLS clients: its extended key usage lacks clientAuth.`);
    }
    return problems;
  },
  ca: (certificate) =>
    certificate.ca
      ? []
      : [
          `${nameOf(certificate)} is not a CA certificate: a group takes the root or intermediate that signs its devices.`,
        ],
};

const nameOf = (certificate: X509Certificate): string =>
  JSON.stringify(commonName(certificate) ?? describeCertificate(certificate).subjectName);

const day = (date: Date): string => date.toISOString().slice(0, 10);
