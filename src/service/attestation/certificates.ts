// Certificates as the service API takes and shows them.

import { createHash, X509Certificate } from "node:crypto";
import type { CertificateInfo } from "../records.ts";

/** The certificates of devices and CAs have one to three kilobytes. */
const longestText = 64 * 1024;

/** From PEM, base64 of PEM, or base64 of DER: clients send all three. Undefined when it is none, or far too long. */
export function readCertificate(text: string): X509Certificate | undefined {
  if (text.length > longestText) return undefined;
  try {
    if (text.includes("-----BEGIN CERTIFICATE-----")) return new X509Certificate(text);
    return new X509Certificate(Buffer.from(text, "base64"));
  } catch {
    return undefined;
  }
}

/** Of a chain as a TLS client sent it; undefined when there is none. */
export function readLeaf([leaf]: readonly Buffer[]): X509Certificate | undefined {
  try {
    return leaf && new X509Certificate(leaf);
  } catch {
    return undefined;
  }
}

/** Upper-case hex without colons. */
export const sha256Thumbprint = (certificate: X509Certificate): string =>
  createHash("sha256").update(certificate.raw).digest("hex").toUpperCase();

export const describeCertificate = (certificate: X509Certificate): CertificateInfo => ({
  subjectName: oneLine(certificate.subject),
  sha1Thumbprint: certificate.fingerprint.replaceAll(":", ""),
  sha256Thumbprint: sha256Thumbprint(certificate),
  issuerName: oneLine(certificate.issuer),
  notBeforeUtc: seconds(certificate.validFromDate),
  notAfterUtc: seconds(certificate.validToDate),
  serialNumber: certificate.serialNumber,
  version: 3,
});

/** Most specific part first, as Windows and so Azure write it. A certificate without a name gives undefined. */
const oneLine = (name: string | undefined = ""): string => name.split("\n").toReversed().join(", ");

const seconds = (date: Date): string => date.toISOString().replace(/\.\d+Z$/, "Z");
