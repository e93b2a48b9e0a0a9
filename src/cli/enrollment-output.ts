// Enrollments for people to read.

import { allocationNames, reprovisionName } from "../enrollment/columns.ts";
import type { AnyEnrollment, AttestationMechanism, EnrolledCertificate } from "../enrollment/record.ts";
import type { CommandKind } from "./enrollment-kind.ts";
import { paint, printFacts, printJson, printLine } from "./output.ts";

/** Only `show --keys` prints keys. */
export function withoutKeys<Row extends AnyEnrollment>(row: Row): Row {
  if (row.attestation.type !== "symmetricKey") return row;
  return { ...row, attestation: { type: "symmetricKey" } };
}

/** The outcome of a command: `what` was done, and the enrollment as it is now; keys only on request. */
export function reportEnrollment(
  given: AnyEnrollment,
  what: string | undefined,
  { json, keys }: { json?: boolean; keys?: boolean },
): void {
  const row = keys ? given : withoutKeys(given);
  if (json) {
    printJson(row);
    return;
  }
  if (what) printLine(paint("green", what));
  printEnrollment(row);
}

function printEnrollment(row: AnyEnrollment): void {
  const { attestation, reprovisionPolicy, customAllocationDefinition, initialTwin } = row;
  printFacts({
    id: "registrationId" in row ? row.registrationId : row.enrollmentGroupId,
    attestation: attestation.type,
    ...attestationFacts(attestation),
    "device id": "deviceId" in row ? row.deviceId : undefined,
    status: row.provisioningStatus,
    allocation: allocationOf(row),
    hub: row.iotHubHostName,
    hubs: row.iotHubs?.join(", "),
    webhook: customAllocationDefinition && withoutQuery(customAllocationDefinition.webhookUrl),
    "when it comes again": reprovisionPolicy && reprovisionName(reprovisionPolicy),
    "IoT Edge": row.capabilities?.iotEdge ? "yes" : undefined,
    "initial twin": initialTwin === undefined ? undefined : JSON.stringify(initialTwin),
    changed: row.lastUpdatedDateTimeUtc,
    etag: row.etag,
    registration: registrationOf(row) || undefined,
  });
}

function attestationFacts({
  tpm,
  x509,
  symmetricKey,
}: AttestationMechanism): Record<string, string | undefined> {
  const { primary, secondary } = x509?.clientCertificates ?? x509?.signingCertificates ?? {};
  return {
    "endorsement key": tpm?.endorsementKey,
    ...certificateFacts("certificate", primary),
    ...certificateFacts("secondary certificate", secondary),
    "uploaded CA": x509?.caReferences?.primary,
    "second uploaded CA": x509?.caReferences?.secondary,
    "primary key": symmetricKey?.primaryKey,
    "secondary key": symmetricKey?.secondaryKey,
  };
}

const certificateFacts = (
  name: string,
  enrolled: EnrolledCertificate | undefined,
): Record<string, string | undefined> => ({
  [name]: enrolled?.info && `${enrolled.info.subjectName}, until ${enrolled.info.notAfterUtc}`,
  [`${name} SHA-256`]: enrolled?.info?.sha256Thumbprint,
});

/** The part behind the question mark is often the function's key. */
const withoutQuery = (url: string): string => url.replace(/\?.*/s, "?…");

function allocationOf({ allocationPolicy }: AnyEnrollment): string | undefined {
  const [name] = Object.entries(allocationNames).find(([, policy]) => policy === allocationPolicy) ?? [];
  return name ?? allocationPolicy;
}

function registrationOf(row: AnyEnrollment): string {
  if (!("registrationState" in row) || !row.registrationState) return "";
  const { status, assignedHub, deviceId, errorMessage } = row.registrationState;
  if (assignedHub !== undefined) return `${status} to ${assignedHub} as ${deviceId}`;
  return [status, errorMessage].filter(Boolean).join(": ");
}

export const enrollmentHeading = ["ID", "ATTESTATION", "STATUS", "HUB", "REGISTRATION"];

/** One line of a list. */
export function enrollmentCells(row: AnyEnrollment, kind: CommandKind): string[] {
  const hubs = row.iotHubHostName ?? row.iotHubs?.join(" ");
  const where = [allocationOf(row), hubs].filter(Boolean).join(": ");
  return [kind.idOf(row), row.attestation.type, row.provisioningStatus ?? "", where, registrationOf(row)];
}
