// The service API says which group let a device in within the part that names its attestation.

import type { AttestationType, RegistrationRecord } from "./records.ts";

type WithAttestation = Partial<Record<AttestationType, { readonly enrollmentGroupId?: string }>>;

export function groupOf(registration: RegistrationRecord): string | undefined {
  const { x509, symmetricKey } = registration as WithAttestation;
  return registration.enrollmentGroupId ?? x509?.enrollmentGroupId ?? symmetricKey?.enrollmentGroupId;
}
