// The two command groups, `enrollment` and `enrollment-group`, and what differs between them.

import type { Enrollments, ServiceClient } from "../enrollment/client.ts";
import { group, individual, type Kind } from "../enrollment/kind.ts";
import type { AnyEnrollment, EnrollmentGroup, IndividualEnrollment } from "../enrollment/record.ts";

export interface CommandKind<Row extends AnyEnrollment = AnyEnrollment> extends Kind<Row> {
  readonly command: "enrollment" | "enrollment-group";
  readonly idOption: "registrationId" | "groupId";
  readonly of: (client: ServiceClient) => Enrollments<Row>;
  readonly row: (id: string, members: Record<string, unknown>) => Row;
}

export const devices: CommandKind<IndividualEnrollment> = {
  ...individual,
  command: "enrollment",
  idOption: "registrationId",
  of: (client) => client.enrollments,
  row: (registrationId, members) => ({ ...members, registrationId }) as IndividualEnrollment,
};

export const groups: CommandKind<EnrollmentGroup> = {
  ...group,
  command: "enrollment-group",
  idOption: "groupId",
  of: (client) => client.enrollmentGroups,
  row: (enrollmentGroupId, members) => ({ ...members, enrollmentGroupId }) as EnrollmentGroup,
};
