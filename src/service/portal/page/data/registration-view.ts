// The service API says how a device proved itself, and which group let it in, by the member that it names after that.

import type { AttestationType, RegistrationRecord } from "./records.ts";

type WithAttestation = Partial<Record<AttestationType, { readonly enrollmentGroupId?: string }>>;

/** A TPM leaves no such member. */
export function attestationOf(registration: RegistrationRecord): AttestationType {
  const { x509, symmetricKey } = registration as WithAttestation;
  return registration.attestation ?? (x509 ? "x509" : symmetricKey ? "symmetricKey" : "tpm");
}

export function groupOf(registration: RegistrationRecord): string | undefined {
  const { x509, symmetricKey } = registration as WithAttestation;
  return registration.enrollmentGroupId ?? x509?.enrollmentGroupId ?? symmetricKey?.enrollmentGroupId;
}
