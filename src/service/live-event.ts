// What a change looks like to those who watch: small, without secrets, and only for whoever may read the record.

import type { Change } from "./changes.ts";
import type { Permission, Registration } from "./records.ts";

export interface LiveEvent {
  readonly event: "registration" | "enrollment" | "hub" | "scenario";
  readonly permission: Permission;
  /** To be sent as JSON; `deleted` when the record is gone. */
  readonly data: Readonly<Record<string, unknown>>;
}

/** Undefined for what nobody watches. */
export function liveEvent(change: Change): LiveEvent | undefined {
  if (change.of === "policy") return undefined;
  const { of, id, row } = change;
  const deleted = row === undefined && { deleted: true };
  switch (of) {
    case "registration": {
      const data = { registrationId: id, ...(row ? outcome(row) : { deleted: true }) };
      return { event: "registration", permission: "RegistrationStatusRead", data };
    }
    case "enrollment":
    case "enrollmentGroup": {
      const name = of === "enrollment" ? "registrationId" : "enrollmentGroupId";
      const data = { [name]: id, ...(row && { etag: row.etag }), ...deleted };
      return { event: "enrollment", permission: "EnrollmentRead", data };
    }
    case "hub":
      return { event: "hub", permission: "EnrollmentRead", data: { hostName: id, ...deleted } };
    case "scenario":
      return { event: "scenario", permission: "EnrollmentRead", data: { target: id, ...deleted } };
  }
}

const outcome = ({ devicePayload: _, etag: __, createdDateTimeUtc: ___, ...row }: Registration): object =>
  row;
