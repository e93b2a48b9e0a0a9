// What can be done with enrollments: the service API, as any other client calls it.

import { call, exchange, Failure } from "./call.ts";
import type { EnrollmentKind } from "./kinds.ts";
import type { Attestation, EnrollmentRecord, RegistrationRecord } from "./records.ts";

const apiVersion = "api-version=2021-10-01";

const pathOf = ({ plural }: EnrollmentKind, id: string, rest = ""): string =>
  `/${plural}/${encodeURIComponent(id)}${rest}?${apiVersion}`;

export const fetchEnrollment = (
  kind: EnrollmentKind,
  id: string,
  signal?: AbortSignal,
): Promise<EnrollmentRecord> => call("GET", pathOf(kind, id), signal ? { signal } : {});

interface BulkResult {
  readonly errors: readonly { readonly errorCode: number; readonly errorStatus: string }[];
}

/** A PUT would replace an enrollment of the same name; a bulk of one is refused instead. */
export async function createEnrollment(kind: EnrollmentKind, record: EnrollmentRecord): Promise<void> {
  const { answer, trackingId } = await exchange<BulkResult>("POST", `/${kind.plural}?${apiVersion}`, {
    body: { mode: "create", [kind.plural]: [record] },
  });
  const [error] = answer.errors;
  if (error) throw new Failure(Math.floor(error.errorCode / 1000), error.errorStatus, { trackingId });
}

/** Refused with 412 when somebody else has changed it since `record` was read. */
export const updateEnrollment = (
  kind: EnrollmentKind,
  id: string,
  record: EnrollmentRecord,
): Promise<EnrollmentRecord> => call("PUT", pathOf(kind, id), { body: record, ifMatch: record.etag });

export const deleteEnrollment = (kind: EnrollmentKind, id: string, etag: string | undefined): Promise<void> =>
  call("DELETE", pathOf(kind, id), { ifMatch: etag });

/** With its secrets, for those who could have set them. */
export const fetchKeys = (kind: EnrollmentKind, id: string): Promise<Attestation> =>
  call("POST", pathOf(kind, id, "/attestationmechanism"));

export const deleteRegistration = (id: string, etag: string | undefined): Promise<void> =>
  call("DELETE", `/registrations/${encodeURIComponent(id)}?${apiVersion}`, { ifMatch: etag });

/** The first registrations that a group let in. */
export const fetchGroupRegistrations = (
  groupId: string,
  signal?: AbortSignal,
): Promise<readonly RegistrationRecord[]> =>
  call("POST", `/registrations/${encodeURIComponent(groupId)}/query?${apiVersion}`, {
    body: { query: "SELECT * FROM registrations" },
    ...(signal && { signal }),
  });
