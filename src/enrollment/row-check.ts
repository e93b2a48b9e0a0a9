// One enrollment before it is sent to anybody: everything about it that can be known without the service.

import { endorsementKeyProblem } from "../tpm/public-area.ts";
import { misfit, readCertificate } from "./certificate.ts";
import type { Kind } from "./kind.ts";
import type { AnyEnrollment, AttestationMechanism } from "./record.ts";
import { type ReadRow, type RowProblem, readShape } from "./row-shape.ts";

/** A row as it can be sent, its certificates in PEM; or all that is wrong with it. */
export function checkRow(raw: unknown, kind: Kind): ReadRow {
  const { row, problems: misshapen } = readShape(raw, kind);
  if (!row) return { problems: misshapen };
  const { attestation, problems } = checkAttestation(row, kind);
  const all = [...problems, ...allocationProblems(row)];
  return all.length > 0 ? { problems: all } : { row: { ...row, attestation } };
}

interface AttestationCheck {
  readonly attestation: AttestationMechanism;
  readonly problems: readonly RowProblem[];
}

function checkAttestation(row: AnyEnrollment, kind: Kind): AttestationCheck {
  const { attestation } = row;
  const { type, tpm, x509, symmetricKey } = attestation;
  const no = (member: string, problem: string): AttestationCheck => ({
    attestation,
    problems: [{ member: `attestation.${member}`, problem }],
  });
  const other = (["tpm", "x509", "symmetricKey"] as const).find(
    (each) => each !== type && Object.keys(attestation[each] ?? {}).length > 0,
  );
  if (other) return no(other, `does not belong to an attestation of type ${type}`);
  if (type === "symmetricKey") {
    const wrong = (["primaryKey", "secondaryKey"] as const).find((name) => !isKey(symmetricKey?.[name]));
    return wrong
      ? no(`symmetricKey.${wrong}`, "not base64 of 16 to 64 bytes")
      : { attestation: { type, symmetricKey: symmetricKey ?? {} }, problems: [] };
  }
  if (type === "tpm") {
    if (kind.plural === "enrollmentGroups")
      return no("type", "a group cannot use tpm; enroll each TPM by itself");
    if (!tpm) return no("tpm.endorsementKey", "missing");
    const problem = endorsementKeyProblem(tpm.endorsementKey);
    return problem ? no("tpm.endorsementKey", problem) : { attestation, problems: [] };
  }
  return checkCertificates(row, x509, kind);
}

function checkCertificates(
  row: AnyEnrollment,
  x509: AttestationMechanism["x509"],
  kind: Kind,
): AttestationCheck {
  const { attestation } = row;
  const problems: RowProblem[] = [];
  const named = `attestation.x509.${kind.certificates}`;
  if (x509?.caReferences && kind.plural === "enrollmentGroups") return { attestation, problems };
  const given = x509?.[kind.certificates];
  if (!given)
    return { attestation, problems: [{ member: `${named}.primary.certificate`, problem: "missing" }] };
  const pem = (slot: "primary" | "secondary"): { certificate: string } | undefined => {
    const text = given[slot]?.certificate;
    if (text === undefined) return undefined;
    const certificate = readCertificate(text);
    const problem =
      certificate === undefined ? "not a certificate, PEM or base64 DER" : misfit(certificate, row);
    if (problem !== undefined) problems.push({ member: `${named}.${slot}.certificate`, problem });
    return { certificate: certificate?.toString() ?? text };
  };
  const primary = pem("primary") as { certificate: string };
  const secondary = pem("secondary");
  return {
    attestation: {
      type: "x509",
      x509: { [kind.certificates]: { primary, ...(secondary && { secondary }) } },
    },
    problems,
  };
}

const isKey = (key: string | undefined): boolean => {
  if (key === undefined) return true;
  const bytes = Buffer.from(key, "base64");
  return bytes.toString("base64") === key && bytes.length >= 16 && bytes.length <= 64;
};

/** Of a policy and its hubs, what the service would only find out when a device comes. */
function allocationProblems(row: Partial<AnyEnrollment>): RowProblem[] {
  const { allocationPolicy, iotHubHostName, iotHubs = [], customAllocationDefinition } = row;
  const member = "allocationPolicy";
  if (allocationPolicy === "static" && !iotHubHostName && iotHubs.length !== 1)
    return [{ member, problem: "static needs one hub" }];
  if (allocationPolicy === "custom" && !customAllocationDefinition)
    return [{ member, problem: "custom needs a webhook" }];
  if (allocationPolicy !== "custom" && customAllocationDefinition)
    return [{ member, problem: "a webhook needs the policy custom" }];
  return [];
}
