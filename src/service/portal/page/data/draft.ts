// An enrollment while it is edited: flat, made of what the controls of the form hold. Reading a record into a draft and
// writing it back changes nothing that was not touched.

import type { EnrollmentKind } from "./kinds.ts";
import type {
  AllocationPolicy,
  Attestation,
  AttestationType,
  CertificatePair,
  EnrollmentRecord,
} from "./records.ts";
import { emptyTwin, readTwin, twinText } from "./twin.ts";

export type Reprovisioning = "migrate" | "reset" | "never";

export interface Draft {
  readonly id: string;
  readonly attestation: AttestationType;
  /** PEM or base64 DER, empty when there is none. */
  readonly primary: string;
  readonly secondary: string;
  readonly endorsementKey: string;
  /** Base64; both empty lets the service make them. */
  readonly ownKeys: boolean;
  readonly primaryKey: string;
  readonly secondaryKey: string;
  readonly deviceId: string;
  readonly allocation: AllocationPolicy;
  /** None: every linked hub. */
  readonly hubs: readonly string[];
  readonly webhookUrl: string;
  readonly reprovisioning: Reprovisioning;
  readonly enabled: boolean;
  readonly iotEdge: boolean;
  /** JSON. */
  readonly twin: string;
}

export const newDraft = (kind: EnrollmentKind): Draft => ({
  id: "",
  attestation: kind.attestations[0] ?? "x509",
  primary: "",
  secondary: "",
  endorsementKey: "",
  ownKeys: false,
  primaryKey: "",
  secondaryKey: "",
  deviceId: "",
  allocation: "hashed",
  hubs: [],
  webhookUrl: "",
  reprovisioning: "migrate",
  enabled: true,
  iotEdge: false,
  twin: emptyTwin,
});

export function draftOf(kind: EnrollmentKind, record: EnrollmentRecord): Draft {
  const { iotHubHostName, iotHubs = [], reprovisionPolicy: policy } = record;
  const allocation = record.allocationPolicy ?? (iotHubHostName ? "static" : "hashed");
  // The one hub of the static policy means nothing to the others.
  const hubs = allocation === "static" && iotHubHostName ? [iotHubHostName] : iotHubs;
  return {
    ...newDraft(kind),
    id: record[kind.idMember] ?? "",
    attestation: record.attestation.type,
    endorsementKey: record.attestation.tpm?.endorsementKey ?? "",
    deviceId: record.deviceId ?? "",
    allocation,
    hubs: [...hubs].sort(),
    webhookUrl: record.customAllocationDefinition?.webhookUrl ?? "",
    reprovisioning: !policy || policy.updateHubAssignment ? migrateOrReset(policy) : "never",
    enabled: record.provisioningStatus !== "disabled",
    iotEdge: record.capabilities?.iotEdge ?? false,
    twin: twinText(record.initialTwin),
  };
}

const migrateOrReset = (policy: EnrollmentRecord["reprovisionPolicy"]): Reprovisioning =>
  policy?.migrateDeviceData === false ? "reset" : "migrate";

/** The first api-version that knows the present shape of a webhook's request. */
const webhookApiVersion = "2021-10-01";

/** What to send. Of `before`, the record that is changed, stays what a draft does not hold. */
export function recordOf(kind: EnrollmentKind, draft: Draft, before?: EnrollmentRecord): EnrollmentRecord {
  const {
    iotHubHostName: _,
    iotHubs: __,
    deviceId: ___,
    customAllocationDefinition: definition,
    initialTwin: ____,
    registrationState: _____,
    ...kept
  } = before ?? ({} as EnrollmentRecord);
  const twin = readTwin(draft.twin);
  const deviceId = kind.route === "enrollments" ? draft.deviceId.trim() : "";
  return {
    ...kept,
    [kind.idMember]: before?.[kind.idMember] ?? draft.id.trim(),
    attestation: before ? before.attestation : attestationOf(kind, draft),
    ...(deviceId && { deviceId }),
    capabilities: { iotEdge: draft.iotEdge },
    provisioningStatus: draft.enabled ? "enabled" : "disabled",
    reprovisionPolicy: {
      updateHubAssignment: draft.reprovisioning !== "never",
      migrateDeviceData: draft.reprovisioning === "migrate",
    },
    allocationPolicy: draft.allocation,
    ...(draft.hubs.length > 0 && { iotHubs: draft.hubs }),
    ...(draft.allocation === "custom" && {
      customAllocationDefinition: {
        webhookUrl: draft.webhookUrl.trim(),
        apiVersion: definition?.apiVersion ?? webhookApiVersion,
      },
    }),
    ...(!twin.mistake && twin.twin && { initialTwin: twin.twin }),
  };
}

function attestationOf(kind: EnrollmentKind, draft: Draft): Attestation {
  const { attestation: type } = draft;
  if (type === "tpm") return { type, tpm: { endorsementKey: draft.endorsementKey.replace(/\s+/g, "") } };
  if (type === "symmetricKey") {
    const [primaryKey, secondaryKey] = [draft.primaryKey.trim(), draft.secondaryKey.trim()];
    return {
      type,
      symmetricKey: draft.ownKeys
        ? { ...(primaryKey && { primaryKey }), ...(secondaryKey && { secondaryKey }) }
        : {},
    };
  }
  const pair: CertificatePair = {
    primary: { certificate: draft.primary },
    ...(draft.secondary && { secondary: { certificate: draft.secondary } }),
  };
  return { type, x509: { [kind.certificates]: pair } };
}
