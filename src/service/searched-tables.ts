// The two tables that grow with the fleet: individual enrollments, and what became of the devices that registered.

import type { DatabaseSync } from "node:sqlite";
import type { IndividualEnrollment, Registration } from "./records.ts";
import type { RegistrationMinutes } from "./registration-minutes.ts";
import { type Searchable, searchable, searchColumns } from "./search.ts";
import { documents, keyOf, type Page, type Table, table } from "./tables.ts";

export type EnrollmentTable = Table<IndividualEnrollment> & Searchable<IndividualEnrollment>;

export interface RegistrationTable extends Omit<Table<Registration>, "page">, Searchable<Registration> {
  /** The registrations that came through one group. */
  pageOfGroup(enrollmentGroupId: string, page: Page): Registration[];
}

export const registrationIdOf = ({ registrationId }: { readonly registrationId: string }): string =>
  registrationId;

export const enrollmentTable = (db: DatabaseSync): EnrollmentTable => ({
  ...table<IndividualEnrollment>(
    db,
    "enrollment",
    registrationIdOf,
    searchColumns((row) => row.provisioningStatus),
  ),
  ...searchable<IndividualEnrollment>(db, "enrollment"),
});

export function registrationTable(db: DatabaseSync, minutes: RegistrationMinutes): RegistrationTable {
  const rows = table<Registration>(db, "registration", registrationIdOf, {
    ...searchColumns((row) => row.status),
    group_key: ({ enrollmentGroupId }) => (enrollmentGroupId === undefined ? null : keyOf(enrollmentGroupId)),
  });
  const page = db.prepare(
    "SELECT document FROM registration WHERE group_key = ? AND key > ? ORDER BY key LIMIT ?",
  );
  return {
    get: rows.get,
    delete: rows.delete,
    put(row) {
      rows.put(row);
      minutes.count(Math.floor(Date.parse(row.lastUpdatedDateTimeUtc) / 60_000), row.status);
    },
    ...searchable<Registration>(db, "registration"),
    pageOfGroup: (groupId, { after = "", limit }) => documents(page.all(keyOf(groupId), keyOf(after), limit)),
  };
}
