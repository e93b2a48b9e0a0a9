// One enrollment before it is sent to anybody: its shape, and everything about it that can be known without the service.

import { X509Certificate } from "node:crypto";
import * as v from "valibot";
import { endorsementKeyProblem } from "../tpm/public-area.ts";
import type { Kind } from "./kind.ts";
import { type AnyEnrollment, type AttestationMechanism, allocationPolicies } from "./record.ts";

export interface RowProblem {
  /** Where, as the service API names it: `attestation.tpm.endorsementKey`. Empty for the whole row. */
  readonly member: string;
  readonly problem: string;
}

export type CheckedRow =
  | { readonly row: AnyEnrollment; readonly problems?: never }
  | { readonly row?: never; readonly problems: readonly RowProblem[] };

/** A row as it can be sent: certificates in PEM, without nulls and without what only the service writes; or all that is wrong. */
export function checkRow(raw: unknown, kind: Kind): CheckedRow {
  const read = v.safeParse(schemas[kind.plural], withoutNulls(raw), { abortPipeEarly: true });
  if (!read.success) return { problems: read.issues.map(problemOf) };
  const row = read.output as unknown as AnyEnrollment;
  const { attestation, problems } = checkAttestation(row, kind);
  const all = [...problems, ...allocationProblems(row)];
  return all.length > 0 ? { problems: all } : { row: { ...row, attestation } };
}

const text = v.pipe(v.string("not a text"), v.nonEmpty("empty"));
const id = v.pipe(
  text,
  v.regex(
    /^[A-Za-z0-9\-._:]{0,127}[A-Za-z0-9-]$/,
    "1 to 128 of A-Z a-z 0-9 - . _ : are allowed, and at the end a letter, a digit or -",
  ),
);
const deviceId = v.pipe(
  text,
  v.regex(/^[A-Za-z0-9\-.%_*?!(),:=@$']{1,128}$/, "1 to 128 of A-Z a-z 0-9 - . % _ * ? ! ( ) , : = @ $ '"),
);
const hub = v.pipe(
  text,
  v.regex(/^(?=.{1,253}$)([A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.|$))+(?<!\.)$/, "not a host name"),
);
const record = v.record(v.string(), v.unknown(), "not a JSON object");
const writtenByService = v.optional(
  v.pipe(
    v.unknown(),
    v.transform(() => undefined),
  ),
);
const certificate = v.strictObject({ certificate: text, info: v.optional(v.unknown()) });
const pair = v.strictObject({ primary: certificate, secondary: v.optional(certificate) });

const members = {
  attestation: v.strictObject({
    type: v.picklist(["tpm", "x509", "symmetricKey"], "not tpm, x509 or symmetricKey"),
    tpm: v.optional(v.strictObject({ endorsementKey: text, storageRootKey: v.optional(text) })),
    x509: v.optional(
      v.strictObject({
        clientCertificates: v.optional(pair),
        signingCertificates: v.optional(pair),
        caReferences: v.optional(v.strictObject({ primary: text, secondary: v.optional(text) })),
      }),
    ),
    symmetricKey: v.optional(
      v.strictObject({ primaryKey: v.optional(text), secondaryKey: v.optional(text) }),
    ),
  }),
  provisioningStatus: v.optional(v.picklist(["enabled", "disabled"], "not enabled or disabled")),
  capabilities: v.optional(v.strictObject({ iotEdge: v.boolean("not true or false") })),
  reprovisionPolicy: v.optional(
    v.strictObject({ updateHubAssignment: v.boolean(), migrateDeviceData: v.boolean() }),
  ),
  allocationPolicy: v.optional(
    v.picklist(allocationPolicies, "not static, hashed, geoLatency (geo-latency) or custom"),
  ),
  iotHubHostName: v.optional(hub),
  iotHubs: v.optional(v.pipe(v.array(hub), v.maxLength(50, "more than 50 hubs"))),
  customAllocationDefinition: v.optional(
    v.strictObject({
      webhookUrl: v.pipe(text, v.regex(/^https:\/\/\S+$/i, "not an https URL")),
      apiVersion: v.pipe(text, v.regex(/^\d{4}-\d{2}-\d{2}(-preview)?$/, "not an api-version")),
    }),
  ),
  initialTwin: v.optional(
    v.strictObject({
      tags: v.optional(record),
      properties: v.optional(v.strictObject({ desired: v.optional(record) })),
    }),
  ),
  credentialPolicyName: v.optional(text),
  etag: writtenByService,
  createdDateTimeUtc: writtenByService,
  lastUpdatedDateTimeUtc: writtenByService,
};

const schemas = {
  enrollments: v.strictObject({
    registrationId: id,
    deviceId: v.optional(deviceId),
    optionalDeviceInformation: v.optional(record),
    registrationState: writtenByService,
    ...members,
  }),
  enrollmentGroups: v.strictObject({ enrollmentGroupId: id, ...members }),
};

function problemOf(issue: v.BaseIssue<unknown>): RowProblem {
  const member = v.getDotPath(issue) ?? "";
  if (issue.type !== "strict_object") return { member, problem: issue.message };
  if (issue.expected === "never") return { member, problem: "there is no such member" };
  return { member, problem: issue.received === "undefined" ? "missing" : "not a JSON object" };
}

/** Operators' own JSON, in which null means something. */
const freeForm = ["tags", "desired", "optionalDeviceInformation"];

/** Tools print null for what is absent. */
function withoutNulls(value: unknown): unknown {
  if (value === null || typeof value !== "object" || Array.isArray(value)) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, each]) => each !== null)
      .map(([name, each]) => [name, freeForm.includes(name) ? each : withoutNulls(each)]),
  );
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

/** From PEM, or from the base64 of DER; undefined when it is neither. */
export function readCertificate(text: string): X509Certificate | undefined {
  try {
    return new X509Certificate(text.includes("-----BEGIN ") ? text : Buffer.from(text, "base64"));
  } catch {
    return undefined;
  }
}

/** DPS takes a device's common name for its registration id, and a group's certificate for that of a CA. */
function misfit(certificate: X509Certificate, row: AnyEnrollment): string | undefined {
  if (!("registrationId" in row)) return certificate.ca ? undefined : "not the certificate of a CA";
  const names = certificate.subject?.split("\n").filter((part) => part.startsWith("CN=")) ?? [];
  const own = `CN=${row.registrationId}`.toLowerCase();
  if (names.length === 1 && names[0]?.toLowerCase() === own) return undefined;
  return `its common name is ${JSON.stringify(names.map((name) => name.slice(3)).join(", "))}, and must be the registration id`;
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
