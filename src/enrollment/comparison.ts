// Whether an enrollment that the service already has is the one that a row asks for.

import { readCertificate } from "./certificate.ts";
import type { AnyEnrollment, AttestationMechanism, EnrolledCertificate } from "./record.ts";

/** Names of the members that the row asks for and that are otherwise in the service; `attestation` among them. */
export function differences(found: AnyEnrollment, wanted: AnyEnrollment): string[] {
  const asked = Object.entries(wanted).filter(
    ([name]) => name !== "attestation" && !/^(registrationId|enrollmentGroupId)$/.test(name),
  );
  const other = asked
    .filter(([name, value]) => !contains((found as unknown as Record<string, unknown>)[name], value))
    .map(([name]) => name);
  return sameCredential(found.attestation, wanted.attestation) ? other : ["attestation", ...other];
}

/** `found` as `attestation()` of the client gives it. A key that the row leaves to the service is the one that is there. */
export function sameCredential(found: AttestationMechanism, wanted: AttestationMechanism): boolean {
  if (found.type !== wanted.type) return false;
  if (wanted.type === "tpm") return found.tpm?.endorsementKey === wanted.tpm?.endorsementKey;
  if (wanted.type === "symmetricKey") return contains(found.symmetricKey, wanted.symmetricKey ?? {});
  if (wanted.x509?.caReferences) return contains(found.x509?.caReferences, wanted.x509.caReferences);
  const there = found.x509?.clientCertificates ?? found.x509?.signingCertificates;
  const asked = wanted.x509?.clientCertificates ?? wanted.x509?.signingCertificates;
  return (
    thumbprint(there?.primary) === thumbprint(asked?.primary) &&
    thumbprint(there?.secondary) === thumbprint(asked?.secondary)
  );
}

/** SHA-256 in capital hex, from the certificate or from what the service says of it. */
export function thumbprint(enrolled: EnrolledCertificate | undefined): string | undefined {
  if (enrolled?.info?.sha256Thumbprint) return enrolled.info.sha256Thumbprint.toUpperCase();
  return enrolled?.certificate && readCertificate(enrolled.certificate)?.fingerprint256.replaceAll(":", "");
}

/** Whether `whole` has all that `part` has. Services add members of their own. */
function contains(whole: unknown, part: unknown): boolean {
  if (Array.isArray(part) || part === null || typeof part !== "object")
    return JSON.stringify(whole) === JSON.stringify(part);
  if (whole === null || typeof whole !== "object") return Object.keys(part).length === 0;
  return Object.entries(part).every(([name, value]) =>
    contains((whole as Record<string, unknown>)[name], value),
  );
}
