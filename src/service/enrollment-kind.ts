// Individual enrollments and groups are kept by the same rules; what differs between them is said here once.

import { groupAttestation, individualAttestation } from "./attestation-record.ts";
import { type EnrollmentBody, readEnrollmentBody } from "./enrollment-body.ts";
import type { EnrollmentGroup, IndividualEnrollment } from "./records.ts";
import { Refusal } from "./refusal.ts";
import { azureTime, newEtag } from "./stamps.ts";
import type { Store } from "./store.ts";
import type { Table } from "./tables.ts";

/** What the service adds when it writes a record. */
interface Writing<Row> {
  readonly id: string;
  readonly before: Row | undefined;
  readonly apiVersion: string;
  /** ms since 1970. */
  readonly now: number;
}

export interface EnrollmentKind<Row extends IndividualEnrollment | EnrollmentGroup> {
  /** First segment of its paths, name of its list in a bulk request, and FROM of its queries. */
  readonly plural: "enrollments" | "enrollmentGroups";
  readonly idMember: "registrationId" | "enrollmentGroupId";
  /** `x-ms-item-type`. */
  readonly itemType: "Enrollment" | "EnrollmentGroup";
  readonly table: (store: Store) => Table<Row>;
  readonly idOf: (row: Row) => string;
  /** The record to keep. Throws a 400000 that names the member that is wrong. */
  readonly read: (body: unknown, writing: Writing<Row>) => Row;
}

export const individualKind: EnrollmentKind<IndividualEnrollment> = {
  plural: "enrollments",
  idMember: "registrationId",
  itemType: "Enrollment",
  table: (store) => store.enrollments,
  idOf: (row) => row.registrationId,
  read(raw, writing) {
    const body = readEnrollmentBody(raw);
    const { deviceId, optionalDeviceInformation } = body;
    const registrationId = sameId(body.registrationId, writing, "registrationId");
    return {
      registrationId,
      ...(deviceId && { deviceId }),
      ...(optionalDeviceInformation && { optionalDeviceInformation }),
      attestation: individualAttestation(body.attestation, registrationId, writing.before?.attestation),
      ...common(body, writing),
    };
  },
};

export const groupKind: EnrollmentKind<EnrollmentGroup> = {
  plural: "enrollmentGroups",
  idMember: "enrollmentGroupId",
  itemType: "EnrollmentGroup",
  table: (store) => store.enrollmentGroups,
  idOf: (row) => row.enrollmentGroupId,
  read(raw, writing) {
    const body = readEnrollmentBody(raw);
    if (body.deviceId)
      throw new Refusal(400000, "deviceId: a group has none; each device is named after its registration");
    return {
      enrollmentGroupId: sameId(body.enrollmentGroupId, writing, "enrollmentGroupId"),
      attestation: groupAttestation(body.attestation, writing.before?.attestation),
      ...common(body, writing),
    };
  },
};

/** The spelling of the first time stays. */
function sameId(
  inBody: string | null | undefined,
  { id, before }: Writing<IndividualEnrollment | EnrollmentGroup>,
  member: "registrationId" | "enrollmentGroupId",
): string {
  if (inBody && inBody.toLowerCase() !== id.toLowerCase()) {
    throw new Refusal(400000, `${member}: the body names another one than the address`);
  }
  if (before) return "registrationId" in before ? before.registrationId : before.enrollmentGroupId;
  return inBody ?? id;
}

type Common = Omit<EnrollmentGroup, "enrollmentGroupId" | "attestation">;

function common(
  body: EnrollmentBody,
  { before, apiVersion, now }: Writing<IndividualEnrollment | EnrollmentGroup>,
): Common {
  const { allocationPolicy, iotHubHostName, iotHubs, customAllocationDefinition, initialTwin } = body;
  if (allocationPolicy === "static" && !iotHubHostName && (iotHubs?.length ?? 0) > 1) {
    throw new Refusal(400000, "iotHubs: the static policy takes one hub");
  }
  if (allocationPolicy === "custom" && !customAllocationDefinition) {
    throw new Refusal(400000, "customAllocationDefinition: missing, and the custom policy needs it");
  }
  // Versions before re-provision policies existed leave the choice to the device's version.
  const reprovisionPolicy =
    body.reprovisionPolicy ??
    (apiVersion < "2018-09-01" ? undefined : { updateHubAssignment: true, migrateDeviceData: true });
  return {
    capabilities: { iotEdge: body.capabilities?.iotEdge ?? false },
    etag: newEtag(),
    provisioningStatus: body.provisioningStatus ?? "enabled",
    ...(reprovisionPolicy && { reprovisionPolicy }),
    createdDateTimeUtc: before?.createdDateTimeUtc ?? azureTime(now),
    lastUpdatedDateTimeUtc: azureTime(now),
    ...(allocationPolicy && { allocationPolicy }),
    ...(iotHubHostName && { iotHubHostName }),
    ...(iotHubs && iotHubs.length > 0 && { iotHubs }),
    ...(initialTwin && { initialTwin }),
    ...(customAllocationDefinition && { customAllocationDefinition }),
  };
}
