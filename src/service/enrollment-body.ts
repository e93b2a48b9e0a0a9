// The shape of an enrollment as operators and their tools send it. Members that only the service writes (etag, dates,
// registrationState) and members that nobody knows are passed over; null means absent.

import * as v from "valibot";
import { jsonObject, jsonRecord, readInput } from "./json-input.ts";
import type { InitialTwin } from "./records.ts";

const text = v.nullish(v.string());
const certificate = jsonObject({
  certificate: text,
  info: v.nullish(jsonObject({ sha256Thumbprint: text })),
});
const certificates = v.nullish(
  jsonObject({ primary: v.nullish(certificate), secondary: v.nullish(certificate) }),
);
const record = v.nullish(jsonRecord);

const attestation = jsonObject({
  type: v.picklist(["tpm", "x509", "symmetricKey"]),
  tpm: v.nullish(jsonObject({ endorsementKey: v.string(), storageRootKey: text })),
  x509: v.nullish(
    jsonObject({
      clientCertificates: certificates,
      signingCertificates: certificates,
      caReferences: v.nullish(v.unknown()),
    }),
  ),
  symmetricKey: v.nullish(jsonObject({ primaryKey: text, secondaryKey: text })),
});

/** Of a hub. */
export const hostName = v.pipe(
  v.string(),
  v.regex(
    /^(?=.{1,253}$)[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*$/,
    "not a host name",
  ),
);

const twin = jsonObject({ tags: record, properties: v.nullish(jsonObject({ desired: record })) });

/** With what is null left out. */
export const initialTwin = v.pipe(
  twin,
  v.transform(
    ({ tags, properties }): InitialTwin => ({
      ...(tags && { tags }),
      ...(properties?.desired && { properties: { desired: properties.desired } }),
    }),
  ),
);

const isHttpsUrl = (text: string): boolean => URL.canParse(text) && new URL(text).protocol === "https:";

const schema = jsonObject({
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
  capabilities: v.nullish(jsonObject({ iotEdge: v.nullish(v.boolean()) })),
  initialTwin: v.nullish(initialTwin),
  provisioningStatus: v.nullish(v.picklist(["enabled", "disabled"])),
  reprovisionPolicy: v.nullish(
    jsonObject({ updateHubAssignment: v.boolean(), migrateDeviceData: v.boolean() }),
  ),
  allocationPolicy: v.nullish(v.picklist(["hashed", "geoLatency", "static", "custom"])),
  iotHubHostName: v.nullish(hostName),
  iotHubs: v.nullish(v.pipe(v.array(hostName), v.maxLength(50, "more than 50 hubs"))),
  customAllocationDefinition: v.nullish(
    jsonObject({
      webhookUrl: v.pipe(v.string(), v.check(isHttpsUrl, "not an https URL")),
      apiVersion: v.pipe(
        v.string(),
        v.regex(/^\d{4}-\d{2}-\d{2}(-preview)?$/, "not an api-version"),
        v.minValue("2018-09-01", "older than 2018-09-01-preview, when webhooks began"),
      ),
    }),
  ),
  etag: text,
});

export type EnrollmentBody = v.InferOutput<typeof schema>;
export type AttestationBody = EnrollmentBody["attestation"];
export type CertificatesBody = NonNullable<NonNullable<AttestationBody["x509"]>["clientCertificates"]>;

/** Throws a 400000 that names the first member that is wrong. */
export const readEnrollmentBody = (body: unknown): EnrollmentBody => readInput(schema, body);
