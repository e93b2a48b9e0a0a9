// Finding, creating, changing and deleting one enrollment.

import type { EnrollmentKind } from "./enrollment-kind.ts";
import type { EnrollmentGroup, IndividualEnrollment } from "./records.ts";
import { Refusal } from "./refusal.ts";
import { isRegistrationId } from "./registration-id.ts";
import type { Store } from "./store.ts";

export type AnyEnrollment = IndividualEnrollment | EnrollmentGroup;

export interface WriteContext {
  readonly store: Store;
  readonly apiVersion: string;
  /** ms since 1970. */
  readonly now: number;
}

/** The limits of DPS; of groups there may be so many with each type of attestation. */
const mostEnrollments = 1_000_000;
const mostGroups = 100;

export function findEnrollment<Row extends AnyEnrollment>(
  kind: EnrollmentKind<Row>,
  store: Store,
  id: string,
): Row {
  const row = kind.table(store).get(id);
  if (!row) throw new Refusal(404201, `Enrollment not found: ${kind.idMember} ${JSON.stringify(id)}.`);
  return row;
}

/** `ifMatch` is the header: absent, `*`, or an etag with or without its quotes. */
interface Wanted {
  readonly id: string;
  readonly ifMatch?: string | undefined;
}

type WantedRow = Wanted & { readonly body: unknown };

/** Creates or replaces. */
export const putEnrollment = <Row extends AnyEnrollment>(
  kind: EnrollmentKind<Row>,
  wanted: WantedRow,
  context: WriteContext,
): Row => context.store.transaction(() => writeEnrollment(kind, wanted, context));

/** The registration of an individual enrollment goes with it; those of a group stay (DPS, manage enrollments). */
export const deleteEnrollment = <Row extends AnyEnrollment>(
  kind: EnrollmentKind<Row>,
  wanted: Wanted,
  context: WriteContext,
): void => context.store.transaction(() => removeEnrollment(kind, wanted, context));

/** As part of a transaction, in which a Refusal leaves no trace. */
export function writeEnrollment<Row extends AnyEnrollment>(
  kind: EnrollmentKind<Row>,
  { id, body, ifMatch }: WantedRow,
  { store, apiVersion, now }: WriteContext,
): Row {
  if (!isRegistrationId(id)) {
    throw new Refusal(
      400000,
      `${kind.idMember}: 1 to 128 of A-Z a-z 0-9 - . _ : and a letter, a digit or - at the end`,
    );
  }
  const before = kind.table(store).get(id);
  verifyMatch(before, ifMatch);
  const row = kind.read(body, { id, before, apiVersion, now });
  if (!before) verifyRoom(store, row);
  kind.table(store).put(row);
  return row;
}

/** As part of a transaction, in which a Refusal leaves no trace. */
export function removeEnrollment<Row extends AnyEnrollment>(
  kind: EnrollmentKind<Row>,
  { id, ifMatch }: Wanted,
  { store }: WriteContext,
): void {
  verifyMatch(findEnrollment(kind, store, id), ifMatch);
  kind.table(store).delete(id);
  store.scenarios.delete(`${kind.plural}/${id}`);
  if (kind.idMember === "registrationId" && !isOfGroup(store, id)) store.registrations.delete(id);
}

/** As of a device that an enrollment of its own was to keep out for a while. */
const isOfGroup = ({ registrations }: Store, registrationId: string): boolean =>
  registrations.get(registrationId)?.enrollmentGroupId !== undefined;

/** Throws 412 when the caller has seen another version, or one that is gone. */
export function verifyMatch(before: { etag: string } | undefined, ifMatch: string | undefined): void {
  if (ifMatch === undefined) return;
  const matches = before && (ifMatch.trim() === "*" || bareEtag(ifMatch) === bareEtag(before.etag));
  if (!matches)
    throw new Refusal(412000, "Precondition failed: the etag is not that of the present version.");
}

/** Etags travel with one, two or no levels of quotes. */
const bareEtag = (etag: string): string => etag.trim().replace(/^W\//, "").replaceAll(/\\?"/g, "");

function verifyRoom(store: Store, row: AnyEnrollment): void {
  if ("registrationId" in row) {
    if (store.enrollments.count() < mostEnrollments) return;
    throw new Refusal(409000, `Quota exceeded: ${mostEnrollments} individual enrollments.`);
  }
  const { type } = row.attestation;
  const present = store.enrollmentGroups.all().filter(({ attestation }) => attestation.type === type).length;
  if (present >= mostGroups)
    throw new Refusal(409000, `Quota exceeded: ${mostGroups} groups of type ${type}.`);
}
