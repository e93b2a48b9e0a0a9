// Groups and individual enrollments are managed alike; what differs between them is said here once.

import type { AttestationType, EnrollmentRecord, LiveKind } from "./records.ts";

export interface EnrollmentKind {
  /** First segment of its routes in the page. */
  readonly route: "groups" | "enrollments";
  /** Where one is added: a place that no enrollment can be named after. */
  readonly addRoute: string;
  /** First segment of its paths in the service API, and its name in the management API. */
  readonly plural: "enrollmentGroups" | "enrollments";
  readonly idMember: "enrollmentGroupId" | "registrationId";
  /** The event that tells of a change. */
  readonly live: LiveKind;
  readonly title: string;
  /** As in "Add enrollment group". */
  readonly one: string;
  readonly idLabel: string;
  readonly idHint: string;
  readonly attestations: readonly AttestationType[];
  readonly certificates: "signingCertificates" | "clientCertificates";
}

export const groupKind: EnrollmentKind = {
  route: "groups",
  addRoute: "add-group",
  plural: "enrollmentGroups",
  idMember: "enrollmentGroupId",
  live: "enrollmentGroup",
  title: "Enrollment groups",
  one: "enrollment group",
  idLabel: "Group name",
  idHint: "1 to 128 letters, digits and - . _ : with a letter, a digit or - at the end.",
  attestations: ["x509", "symmetricKey"],
  certificates: "signingCertificates",
};

export const individualKind: EnrollmentKind = {
  route: "enrollments",
  addRoute: "add-enrollment",
  plural: "enrollments",
  idMember: "registrationId",
  live: "enrollment",
  title: "Individual enrollments",
  one: "individual enrollment",
  idLabel: "Registration id",
  idHint: "The device's name towards the service. With X.509 it is the common name of its certificate.",
  attestations: ["x509", "tpm", "symmetricKey"],
  certificates: "clientCertificates",
};

export const idOf = (kind: EnrollmentKind, record: EnrollmentRecord): string => record[kind.idMember] ?? "";

export const attestationNames: Record<AttestationType, string> = {
  x509: "X.509",
  tpm: "TPM",
  symmetricKey: "Symmetric key",
};
