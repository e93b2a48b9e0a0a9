// What the service complains about, and where that is in the form.

import type { EnrollmentKind } from "../data/kinds.ts";

/** The field of the form that the service means by a member of the request. */
export function fieldFor(kind: EnrollmentKind, member: string | undefined): string | undefined {
  if (member === undefined) return undefined;
  const fields = [
    kind.idMember,
    "deviceId",
    `attestation.x509.${kind.certificates}.primary`,
    `attestation.x509.${kind.certificates}.secondary`,
    "attestation.tpm.endorsementKey",
    "attestation.symmetricKey.primaryKey",
    "attestation.symmetricKey.secondaryKey",
    "attestation.type",
    "allocationPolicy",
    "iotHubs",
    "customAllocationDefinition.webhookUrl",
    "reprovisionPolicy",
    "initialTwin",
  ];
  if (member === "iotHubHostName") return "iotHubs";
  if (member === "customAllocationDefinition") return "customAllocationDefinition.webhookUrl";
  return fields.find((field) => member === field || member.startsWith(`${field}.`));
}
