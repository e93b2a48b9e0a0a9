// Enrollments as the service API shows them: certificates by their description, symmetric keys not at all.

import type { Attestation, CertificatePair, EnrollmentGroup, IndividualEnrollment } from "./records.ts";
import { registrationState } from "./registrar.ts";
import type { Store } from "./store.ts";

/** What GET and a query return. An individual enrollment brings what became of its device. */
export function enrollmentView(
  row: IndividualEnrollment | EnrollmentGroup,
  store: Store,
  { withKeys = false }: { withKeys?: boolean } = {},
): Record<string, unknown> {
  const registration = "registrationId" in row ? store.registrations.get(row.registrationId) : undefined;
  return {
    ...row,
    attestation: attestationView(row.attestation, withKeys),
    ...(registration && { registrationState: registrationState(registration) }),
  };
}

function attestationView(attestation: Attestation, withKeys: boolean): unknown {
  if (attestation.type === "symmetricKey")
    return withKeys ? attestation : { type: "symmetricKey", symmetricKey: {} };
  if (attestation.type === "tpm") return attestation;
  const described = Object.entries(attestation.x509).map(([kind, pair]) => [
    kind,
    pairView(pair as CertificatePair),
  ]);
  return { type: "x509", x509: Object.fromEntries(described) };
}

const pairView = ({ primary, secondary }: CertificatePair): unknown => ({
  primary: { info: primary.info },
  ...(secondary && { secondary: { info: secondary.info } }),
});
