// Who lets this device in? Its own enrollment if it has one, else the group that vouches for it; and what a hub
// will have to know to recognise it.

import type { TpmChallenge } from "../registration/wire.ts";
import { type Evidence, invalidCertificate } from "./attestation/evidence.ts";
import { findGroupByKey, verifySymmetricKey } from "./attestation/symmetric-key.ts";
import type { TpmChallenges, TpmKeys } from "./attestation/tpm-challenge.ts";
import { findGroupByChain, verifyClientCertificate } from "./attestation/x509.ts";
import type { DeviceAuthentication, EnrollmentGroup, IndividualEnrollment } from "./records.ts";
import { Refusal } from "./refusal.ts";
import type { Store } from "./store.ts";

/** A device that has shown who it is. */
export interface Admission {
  readonly enrollment: IndividualEnrollment | EnrollmentGroup;
  readonly attestation: "x509" | "symmetricKey" | "tpm";
  /** The name at the hub, unless the device already has one. */
  readonly deviceId: string;
  /** How the hub will recognise it; a TPM gets its key from us. */
  readonly authentication: DeviceAuthentication | { readonly type: "tpm"; readonly keys: TpmKeys };
}

export type Judgement =
  | { readonly verdict: "admitted"; readonly admission: Admission }
  | { readonly verdict: "disabled" }
  | { readonly verdict: "challenged"; readonly challenge: TpmChallenge };

/** Throws a Refusal for a device that shows nothing, or the wrong thing. */
export function judge(
  evidence: Evidence,
  { store, challenges }: { store: Store; challenges: TpmChallenges },
): Judgement {
  const individual = store.enrollments.get(evidence.registrationId);
  if (individual?.attestation.type === "tpm") return judgeTpm(evidence, individual, challenges);
  const admission = individual
    ? admitIndividual(evidence, individual)
    : admitThroughGroup(evidence, store.enrollmentGroups.all());
  if (admission.enrollment.provisioningStatus === "disabled") return { verdict: "disabled" };
  return { verdict: "admitted", admission };
}

function judgeTpm(
  evidence: Evidence,
  enrollment: IndividualEnrollment,
  challenges: TpmChallenges,
): Judgement {
  const { attestation } = enrollment;
  if (attestation.type !== "tpm") throw new Refusal(500000, "not a TPM enrollment");
  if (evidence.transport !== "https") {
    throw new Refusal(400000, "TPM attestation is possible over HTTPS only");
  }
  challenges.compare(evidence, attestation.tpm);
  // Before the challenge: a device would give up its present key for nothing.
  if (enrollment.provisioningStatus === "disabled") return { verdict: "disabled" };
  if (evidence.authorization === undefined) {
    return { verdict: "challenged", challenge: challenges.issue(evidence) };
  }
  const keys = challenges.verify(evidence);
  return {
    verdict: "admitted",
    admission: {
      enrollment,
      attestation: "tpm",
      deviceId: enrollment.deviceId ?? enrollment.registrationId,
      authentication: { type: "tpm", keys },
    },
  };
}

function admitIndividual(evidence: Evidence, enrollment: IndividualEnrollment): Admission {
  const deviceId = enrollment.deviceId ?? enrollment.registrationId;
  const { attestation } = enrollment;
  if (attestation.type === "symmetricKey") {
    verifySymmetricKey(evidence, attestation.symmetricKey);
    const authentication = { type: "sas", ...attestation.symmetricKey } as const;
    return { enrollment, attestation: "symmetricKey", deviceId, authentication };
  }
  const certificates = attestation.type === "x509" ? attestation.x509.clientCertificates : undefined;
  if (!certificates) throw new Refusal(500000, "the enrollment names no client certificate");
  verifyClientCertificate(evidence, certificates);
  const authentication = {
    type: "selfSigned",
    primaryThumbprint: certificates.primary.info.sha256Thumbprint,
    ...(certificates.secondary && { secondaryThumbprint: certificates.secondary.info.sha256Thumbprint }),
  } as const;
  return { enrollment, attestation: "x509", deviceId, authentication };
}

/** The group that would admit the device, as one that has no enrollment of its own. */
export function groupOf(evidence: Evidence, groups: readonly EnrollmentGroup[]): EnrollmentGroup | undefined {
  try {
    return admitThroughGroup(evidence, groups).enrollment as EnrollmentGroup;
  } catch (error) {
    if (error instanceof Refusal) return undefined;
    throw error;
  }
}

/** What was sent decides the kind of group; a kind that nobody uses here makes the device simply unknown. */
function admitThroughGroup(evidence: Evidence, groups: readonly EnrollmentGroup[]): Admission {
  const attestation = evidence.authorization === undefined ? "x509" : "symmetricKey";
  const possible = groups.filter((group) => group.attestation.type === attestation);
  const sentNothing = evidence.authorization === undefined && evidence.certificates.length === 0;
  if (sentNothing && evidence.tpm === undefined) throw invalidCertificate("the device sent no credential");
  if (sentNothing || possible.length === 0) {
    throw new Refusal(404201, "Enrollment not found.", "no enrollment, and no group that could vouch for it");
  }
  const deviceId = evidence.registrationId;
  if (attestation === "x509") {
    const enrollment = findGroupByChain(evidence, possible);
    return { enrollment, attestation, deviceId, authentication: { type: "certificateAuthority" } };
  }
  const { group, keys } = findGroupByKey(evidence, possible);
  return { enrollment: group, attestation, deviceId, authentication: { type: "sas", ...keys } };
}
