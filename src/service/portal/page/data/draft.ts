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
  const hubs = iotHubHostName && !iotHubs.includes(iotHubHostName) ? [iotHubHostName, ...iotHubs] : iotHubs;
  return {
    ...newDraft(kind),
    id: record[kind.idMember] ?? "",
    attestation: record.attestation.type,
    endorsementKey: record.attestation.tpm?.endorsementKey ?? "",
    deviceId: record.deviceId ?? "",
    allocation: record.allocationPolicy ?? (iotHubHostName ? "static" : "hashed"),
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

/** Names of fields are members of what is sent; so a complaint of the service finds its field. */
export type Mistakes = ReadonlyMap<string, string>;

/** What can be known to be wrong before it is sent. */
export function mistakesIn(
  kind: EnrollmentKind,
  draft: Draft,
  { isNew }: { readonly isNew: boolean },
): Mistakes {
  const found = new Map<string, string>();
  if (isNew) {
    if (!/^[A-Za-z0-9\-._:]{0,127}[A-Za-z0-9-]$/.test(draft.id.trim()))
      found.set(
        kind.idMember,
        draft.id.trim() === "" ? `Enter the ${kind.idLabel.toLowerCase()}.` : kind.idHint,
      );
    for (const [field, what] of attestationMistakes(kind, draft)) found.set(field, what);
  }
  if (draft.deviceId.trim() !== "" && !/^[A-Za-z0-9\-.%_*?!(),:=@$']{1,128}$/.test(draft.deviceId.trim()))
    found.set("deviceId", "1 to 128 of A-Z a-z 0-9 - . % _ * ? ! ( ) , : = @ $ '");
  if (draft.allocation === "static" && draft.hubs.length !== 1)
    found.set("iotHubs", "The static policy needs exactly one hub. Choose it.");
  if (draft.allocation === "custom" && !/^https:\/\/\S+$/i.test(draft.webhookUrl.trim()))
    found.set("customAllocationDefinition.webhookUrl", "Enter the webhook's address, starting with https://");
  const { mistake } = readTwin(draft.twin);
  if (mistake) {
    const { place, what } = mistake;
    found.set("initialTwin", place ? `Line ${place.line}, column ${place.column}: ${what}.` : what);
  }
  return found;
}

function attestationMistakes(kind: EnrollmentKind, draft: Draft): [string, string][] {
  const { attestation: type } = draft;
  if (type === "x509" && draft.primary === "")
    return [[`attestation.x509.${kind.certificates}.primary`, "Add the primary certificate."]];
  if (type === "tpm" && draft.endorsementKey.trim() === "")
    return [["attestation.tpm.endorsementKey", "Paste the endorsement key."]];
  if (type === "symmetricKey" && draft.ownKeys) {
    return (["primaryKey", "secondaryKey"] as const)
      .filter((name) => !isKey(draft[name].trim()))
      .map((name) => [`attestation.symmetricKey.${name}`, "Base64 of 16 to 64 bytes."]);
  }
  return [];
}

function isKey(text: string): boolean {
  try {
    const { length } = atob(text);
    return length >= 16 && length <= 64;
  } catch {
    return false;
  }
}
