// What differs between individual enrollments and groups, said once.

import type { AnyEnrollment, EnrollmentGroup, IndividualEnrollment } from "./record.ts";

export interface Kind<Row extends AnyEnrollment = AnyEnrollment> {
  readonly noun: string;
  /** First segment of its paths, and name of its list in a bulk request. */
  readonly plural: "enrollments" | "enrollmentGroups";
  readonly idMember: "registrationId" | "enrollmentGroupId";
  /** Whose certificates it names. */
  readonly certificates: "clientCertificates" | "signingCertificates";
  readonly idOf: (row: Row) => string;
}

export const individual: Kind<IndividualEnrollment> = {
  noun: "enrollment",
  plural: "enrollments",
  idMember: "registrationId",
  certificates: "clientCertificates",
  idOf: (row) => row.registrationId,
};

export const group: Kind<EnrollmentGroup> = {
  noun: "enrollment group",
  plural: "enrollmentGroups",
  idMember: "enrollmentGroupId",
  certificates: "signingCertificates",
  idOf: (row) => row.enrollmentGroupId,
};
