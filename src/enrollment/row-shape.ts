// The shape of an enrollment as a file may bring it: members of the service API and no others, each of its type.

import * as v from "valibot";
import type { Kind } from "./kind.ts";
import { type AnyEnrollment, allocationPolicies } from "./record.ts";

export interface RowProblem {
  /** Where, as the service API names it: `attestation.tpm.endorsementKey`. Empty for the whole row. */
  readonly member: string;
  readonly problem: string;
}

export type ReadRow =
  | { readonly row: AnyEnrollment; readonly problems?: never }
  | { readonly row?: never; readonly problems: readonly RowProblem[] };

/** The row without nulls and without what only the service writes, or all that is wrong with its shape. */
export function readShape(raw: unknown, kind: Kind): ReadRow {
  const read = v.safeParse(schemas[kind.plural], withoutNulls(raw), { abortPipeEarly: true });
  return read.success
    ? { row: read.output as unknown as AnyEnrollment }
    : { problems: read.issues.map(problemOf) };
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
