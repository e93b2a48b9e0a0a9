// An enrollment as a line of a spreadsheet: which column is which member of the service API, and how a cell is written
// so that it comes back as it was.

import type { Kind } from "./kind.ts";
import type { AnyEnrollment } from "./record.ts";

interface Column {
  readonly name: string;
  /** Path of the member, or of the members' parent. */
  readonly member: string;
  /** For --help: what a cell holds. */
  readonly holds: string;
  readonly write: (value: unknown) => string;
  /** Throws SyntaxError for a cell that is no such value. */
  readonly read: (cell: string) => unknown;
}

const asIs = { write: String, read: (cell: string): unknown => cell };
const json = {
  write: (value: unknown): string => JSON.stringify(value),
  read: (cell: string): unknown => {
    try {
      return JSON.parse(cell);
    } catch {
      throw new SyntaxError("not JSON");
    }
  },
};
const list = {
  write: (value: unknown): string => (value as string[]).join(" "),
  read: (cell: string): unknown => cell.trim().split(/[\s;,]+/),
};
const oneOf = (
  words: Readonly<Record<string, unknown>>,
  isSame: (value: unknown, word: string) => boolean,
) => ({
  write: (value: unknown): string => Object.keys(words).find((word) => isSame(value, word)) ?? String(value),
  read: (cell: string): unknown => {
    const word = cell.trim().toLowerCase();
    if (!Object.hasOwn(words, word)) throw new SyntaxError(`not ${Object.keys(words).join(" | ")}`);
    return words[word];
  },
});
const booleans = { true: true, false: false };
const yesOrNo = oneOf(booleans, (value, word) => String(value) === word);

/** The names that the command line has for re-provision policies (the portal's "never", "migrate", "reset"). */
export const reprovisionPolicies = {
  keep: { updateHubAssignment: false, migrateDeviceData: false },
  migrate: { updateHubAssignment: true, migrateDeviceData: true },
  reset: { updateHubAssignment: true, migrateDeviceData: false },
} as const;

type PolicyName = keyof typeof reprovisionPolicies;

/** What a policy is called; whether data would migrate does not matter when the hub is kept. */
export const reprovisionName = (policy: {
  updateHubAssignment: boolean;
  migrateDeviceData: boolean;
}): PolicyName => (!policy.updateHubAssignment ? "keep" : policy.migrateDeviceData ? "migrate" : "reset");

export const allocationNames = {
  static: "static",
  hashed: "hashed",
  "geo-latency": "geoLatency",
  custom: "custom",
} as const;

const reprovision = oneOf(
  reprovisionPolicies,
  (value, word) => reprovisionName(value as (typeof reprovisionPolicies)[PolicyName]) === word,
);
const allocation = oneOf(
  allocationNames,
  (value, word) => value === allocationNames[word as keyof typeof allocationNames],
);
const attestation = {
  write: String,
  read: (cell: string): unknown => (/^symmetric[-_ ]?key$/i.test(cell) ? "symmetricKey" : cell.toLowerCase()),
};
/** One line: base64 of DER. Read as PEM too. */
const certificate = {
  write: (value: unknown): string => String(value).replace(/-----[^-]+-----|\s/g, ""),
  read: (cell: string): unknown => cell,
};

type Format = Pick<Column, "write" | "read">;
const column = (name: string, member: string, holds: string, format: Format = asIs): Column => ({
  name,
  member,
  holds,
  ...format,
});

const own: Readonly<Record<Kind["plural"], readonly Column[]>> = {
  enrollments: [
    column(
      "registration_id",
      "registrationId",
      "name of the device towards DPS; the only one that is always needed",
    ),
  ],
  enrollmentGroups: [column("group_id", "enrollmentGroupId", "name of the group; always needed")],
};

/** The columns of a kind, in the order in which they are exported. */
export function columnsOf({ plural, certificates }: Kind): readonly Column[] {
  const single = plural === "enrollments";
  const pem = `attestation.x509.${certificates}`;
  return [
    ...own[plural],
    column(
      "attestation",
      "attestation.type",
      "tpm | x509 | symmetricKey; may be left to the columns below",
      attestation,
    ),
    ...(single
      ? [
          column("endorsement_key", "attestation.tpm.endorsementKey", "of the TPM, base64 TPM2B_PUBLIC"),
          column("storage_root_key", "attestation.tpm.storageRootKey", "of the TPM, base64 TPM2B_PUBLIC"),
        ]
      : []),
    column("certificate", `${pem}.primary.certificate`, "PEM or base64 of DER", certificate),
    column("secondary_certificate", `${pem}.secondary.certificate`, "to roll over to", certificate),
    ...(single
      ? []
      : [
          column("ca_reference", "attestation.x509.caReferences.primary", "name of a CA uploaded to Azure"),
          column("secondary_ca_reference", "attestation.x509.caReferences.secondary", "a second one"),
        ]),
    column("primary_key", "attestation.symmetricKey.primaryKey", "base64; without it the service makes one"),
    column("secondary_key", "attestation.symmetricKey.secondaryKey", "base64"),
    ...(single ? [column("device_id", "deviceId", "name at the hub, if that is another")] : []),
    column("status", "provisioningStatus", "enabled | disabled"),
    column("hub", "iotHubHostName", "the one hub to assign"),
    column("hubs", "iotHubs", "hubs to choose from, with spaces between", list),
    column("allocation", "allocationPolicy", "static | hashed | geo-latency | custom", allocation),
    column("webhook_url", "customAllocationDefinition.webhookUrl", "for custom"),
    column("webhook_api_version", "customAllocationDefinition.apiVersion", "for custom"),
    column("reprovision", "reprovisionPolicy", "keep | migrate | reset", reprovision),
    column("edge", "capabilities.iotEdge", "true | false: an IoT Edge device", yesOrNo),
    column("initial_twin", "initialTwin", "JSON with tags and properties.desired", json),
    ...(single ? [column("device_information", "optionalDeviceInformation", "JSON", json)] : []),
  ];
}

/** The cells of an enrollment. Throws nothing: what has no column is left out. */
export const cellsOf = (row: AnyEnrollment, columns: readonly Column[]): string[] =>
  columns.map(({ member, write }) => {
    const value = member
      .split(".")
      .reduce<unknown>((at, name) => (at as Record<string, unknown>)?.[name], row);
    return value === undefined ? "" : guard(write(value));
  });

/** Puts a cell where its column says; an empty one is absent. Throws SyntaxError for a cell that is no such value. */
export function setMember(record: Record<string, unknown>, { member, read }: Column, cell: string): void {
  if (cell === "") return;
  const names = member.split(".");
  const last = names.pop() as string;
  let at = record;
  for (const name of names) {
    at[name] ??= {};
    at = at[name] as Record<string, unknown>;
  }
  at[last] = read(unguard(cell));
}

/** A spreadsheet takes what begins like this for a formula, and runs it (OWASP, CSV injection). */
const formula = /^[=+\-@\t\r\n'＝＋－＠]/;
export const guard = (cell: string): string => (formula.test(cell) ? `'${cell}` : cell);
const unguard = (cell: string): string =>
  cell.startsWith("'") && formula.test(cell.slice(1)) ? cell.slice(1) : cell;
