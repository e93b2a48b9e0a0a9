// The shape of an enrollment as operators and their tools send it. Members that only the service writes (etag, dates,
// registrationState) and members that nobody knows are passed over; null means absent.

import * as v from "valibot";
import { Refusal } from "./refusal.ts";

const text = v.nullish(v.string());
const certificate = v.object({
  certificate: text,
  info: v.nullish(v.object({ sha256Thumbprint: text })),
});
const certificates = v.nullish(
  v.object({ primary: v.nullish(certificate), secondary: v.nullish(certificate) }),
);
const record = v.nullish(v.record(v.string(), v.unknown()));

const attestation = v.object({
  type: v.picklist(["tpm", "x509", "symmetricKey"]),
  tpm: v.nullish(v.object({ endorsementKey: v.string(), storageRootKey: text })),
  x509: v.nullish(
    v.object({
      clientCertificates: certificates,
      signingCertificates: certificates,
      caReferences: v.nullish(v.unknown()),
    }),
  ),
  symmetricKey: v.nullish(v.object({ primaryKey: text, secondaryKey: text })),
});

const hostName = v.pipe(
  v.string(),
  v.regex(
    /^(?=.{1,253}$)[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*$/,
    "not a host name",
  ),
);

const schema = v.object({
  registrationId: text,
  enrollmentGroupId: text,
  attestation,
  deviceId: v.nullish(
    // The id rules of IoT hub.
    v.pipe(
      v.string(),
      v.regex(
        /^[A-Za-z0-9\-.%_*?!(),:=@$']{1,128}$/,
        "not a device id: 1 to 128 of A-Z a-z 0-9 - . % _ * ? ! ( ) , : = @ $ '",
      ),
    ),
  ),
  optionalDeviceInformation: record,
  capabilities: v.nullish(v.object({ iotEdge: v.nullish(v.boolean()) })),
  initialTwin: v.nullish(v.object({ tags: record, properties: v.nullish(v.object({ desired: record })) })),
  provisioningStatus: v.nullish(v.picklist(["enabled", "disabled"])),
  reprovisionPolicy: v.nullish(
    v.object({ updateHubAssignment: v.boolean(), migrateDeviceData: v.boolean() }),
  ),
  allocationPolicy: v.nullish(v.picklist(["hashed", "geoLatency", "static", "custom"])),
  iotHubHostName: v.nullish(hostName),
  iotHubs: v.nullish(v.pipe(v.array(hostName), v.maxLength(50, "more than 50 hubs"))),
  customAllocationDefinition: v.nullish(
    v.object({
      webhookUrl: v.pipe(v.string(), v.regex(/^https:\/\/\S+$/i, "not an https URL")),
      apiVersion: v.pipe(v.string(), v.regex(/^\d{4}-\d{2}-\d{2}(-preview)?$/, "not an api-version")),
    }),
  ),
  etag: text,
});

export type EnrollmentBody = v.InferOutput<typeof schema>;
export type AttestationBody = EnrollmentBody["attestation"];
export type CertificatesBody = NonNullable<NonNullable<AttestationBody["x509"]>["clientCertificates"]>;

/** Throws a 400000 that names the first member that is wrong. */
export function readEnrollmentBody(body: unknown): EnrollmentBody {
  const result = v.safeParse(schema, body);
  if (result.success) return result.output;
  const [issue] = result.issues;
  throw new Refusal(400000, `${v.getDotPath(issue) ?? "body"}: ${issue.message}`);
}
