// Certificates as the service API takes and shows them.

import { createHash, X509Certificate } from "node:crypto";
import type { CertificateInfo } from "../records.ts";

/** The certificates of devices and CAs have one to three kilobytes. */
const longestText = 64 * 1024;

/** From PEM, base64 of PEM, or base64 of DER: clients send all three. Undefined when it is none, or far too long. */
export function readCertificate(text: string): X509Certificate | undefined {
  if (text.length > longestText) return undefined;
  if (text.includes("-----BEGIN CERTIFICATE-----")) return parseCertificate(text);
  return parseCertificate(Buffer.from(text, "base64"));
}

/** Of a chain as a TLS client sent it; undefined when there is none. */
export const readLeaf = ([leaf]: readonly Buffer[]): X509Certificate | undefined =>
  leaf && parseCertificate(leaf);

/** PEM or DER. Undefined also for dates that are none, which OpenSSL leaves to others. */
export function parseCertificate(source: string | Buffer): X509Certificate | undefined {
  try {
    const certificate = new X509Certificate(source);
    const dates = [certificate.validFromDate, certificate.validToDate];
    return dates.some((date) => Number.isNaN(date.getTime())) ? undefined : certificate;
  } catch {
    return undefined;
  }
}

/** By names, key identifiers, key usage and signature. Not when the issuer's key is of an unknown kind. */
export function isIssuedBy(certificate: X509Certificate, issuer: X509Certificate): boolean {
  try {
    return certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey);
  } catch {
    return false;
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
