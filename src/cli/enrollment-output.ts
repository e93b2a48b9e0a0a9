// Enrollments for people to read.

import type { AttestationMechanism, EnrollmentGroup, IndividualEnrollment } from "../enrollment/record.ts";
import { printFacts, printLine } from "./output.ts";

type Row = IndividualEnrollment | EnrollmentGroup;

/** Only `show --keys` prints keys. */
export function withoutKeys<R extends Row>(row: R): R {
  if (row.attestation.type !== "symmetricKey") return row;
  return { ...row, attestation: { type: "symmetricKey" } };
}

export function printEnrollment(row: Row): void {
  const { attestation } = row;
  printFacts({
    id: "registrationId" in row ? row.registrationId : row.enrollmentGroupId,
    attestation: attestation.type,
    ...attestationFacts(attestation),
    "device id": "deviceId" in row ? row.deviceId : undefined,
    hub: row.iotHubHostName,
    status: row.provisioningStatus,
    registration: outcome(row) || undefined,
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
    certificate: primary?.info && `${primary.info.subjectName}, until ${primary.info.notAfterUtc}`,
    "secondary certificate":
      secondary?.info && `${secondary.info.subjectName}, until ${secondary.info.notAfterUtc}`,
    "primary key": symmetricKey?.primaryKey,
    "secondary key": symmetricKey?.secondaryKey,
  };
}

function outcome(row: Row): string {
  if (!("registrationState" in row) || !row.registrationState) return "";
  const { status, assignedHub, deviceId } = row.registrationState;
  return assignedHub === undefined ? (status ?? "") : `${status} to ${assignedHub} as ${deviceId}`;
}

/** One line each, under a heading. */
export function printRows(rows: readonly { id: string; row: Row }[]): void {
  const lines = rows.map(({ id, row }) => [
    id,
    row.attestation.type,
    row.provisioningStatus ?? "",
    outcome(row),
  ]);
  const table = [["ID", "ATTESTATION", "STATUS", "REGISTRATION"], ...lines];
  const widths = [0, 1, 2].map((column) => Math.max(...table.map((line) => line[column]?.length ?? 0)));
  for (const line of table) {
    printLine(
      line
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join("  ")
        .trimEnd(),
    );
  }
}
