// Certificates as enrollments name them.

import { X509Certificate } from "node:crypto";
import type { AnyEnrollment } from "./record.ts";

/** From PEM, or from the base64 of DER; undefined when it is neither. */
export function readCertificate(text: string): X509Certificate | undefined {
  try {
    return new X509Certificate(text.includes("-----BEGIN ") ? text : Buffer.from(text, "base64"));
  } catch {
    return undefined;
  }
}

/** DPS takes a device's common name for its registration id, and a group's certificate for that of a CA. */
export function misfit(certificate: X509Certificate, row: AnyEnrollment): string | undefined {
  if (!("registrationId" in row)) return certificate.ca ? undefined : "not the certificate of a CA";
  const names = certificate.subject?.split("\n").filter((part) => part.startsWith("CN=")) ?? [];
  const own = `CN=${row.registrationId}`.toLowerCase();
  if (names.length === 1 && names[0]?.toLowerCase() === own) return undefined;
  return `its common name is ${JSON.stringify(names.map((name) => name.slice(3)).join(", "))}, and must be the registration id`;
}
