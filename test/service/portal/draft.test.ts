import { describe, expect, it } from "vitest";
import { type Draft, draftOf, newDraft, recordOf } from "../../../src/service/portal/page/data/draft.ts";
import { groupKind, individualKind } from "../../../src/service/portal/page/data/kinds.ts";
import { mergeDrafts } from "../../../src/service/portal/page/data/merge.ts";
import { mistakesIn } from "../../../src/service/portal/page/data/mistakes.ts";
import type { EnrollmentRecord } from "../../../src/service/portal/page/data/records.ts";

const record: EnrollmentRecord = {
  registrationId: "gw-1",
  deviceId: "pump",
  attestation: { type: "symmetricKey", symmetricKey: {} },
  capabilities: { iotEdge: true },
  etag: '"1"',
  provisioningStatus: "disabled",
  reprovisionPolicy: { updateHubAssignment: true, migrateDeviceData: false },
  allocationPolicy: "custom",
  iotHubs: ["a.example", "b.example"],
  customAllocationDefinition: { webhookUrl: "https://hook.example/", apiVersion: "2019-03-31" },
  initialTwin: { tags: { plant: 7 } },
  optionalDeviceInformation: { serial: "x" },
} as EnrollmentRecord;

const edited = (change: Partial<Draft>): EnrollmentRecord =>
  recordOf(individualKind, { ...draftOf(individualKind, record), ...change }, record);

describe("a draft of the page", () => {
  it("writes back what was not touched as it was read", () => {
    expect(edited({})).toEqual(record);
  });

  it.each([
    ["of the static policy is the hub", { allocationPolicy: "static" }, ["one.example"]],
    ["without a policy is the hub", { iotHubs: ["a.example"] }, ["one.example"]],
    [
      "beside another policy means nothing",
      { allocationPolicy: "hashed", iotHubs: ["a.example"] },
      ["a.example"],
    ],
    ["beside another policy is no choice of hubs", { allocationPolicy: "geoLatency" }, []],
  ] as const)("a single hub %s", (_, settings, hubs) => {
    const { allocationPolicy: __, iotHubs: ___, ...others } = record;
    const made = { ...others, iotHubHostName: "one.example", ...settings } as EnrollmentRecord;
    expect(draftOf(individualKind, made).hubs).toEqual(hubs);
  });

  it("takes away what was emptied", () => {
    const saved = edited({ deviceId: " ", hubs: [], allocation: "hashed", twin: "" });
    for (const gone of ["deviceId", "iotHubs", "customAllocationDefinition", "initialTwin"])
      expect(saved).not.toHaveProperty(gone);
  });

  it("says one hub in one way, however the record said it", () => {
    const { iotHubs: _, allocationPolicy: __, ...rest } = record;
    const draft = draftOf(individualKind, { ...rest, iotHubHostName: "a.example" });
    expect(draft).toMatchObject({ allocation: "static", hubs: ["a.example"] });
    const saved = recordOf(individualKind, draft, { ...rest, iotHubHostName: "a.example" });
    expect(saved).toMatchObject({ allocationPolicy: "static", iotHubs: ["a.example"] });
    expect(saved).not.toHaveProperty("iotHubHostName");
  });

  it.each([
    ["migrate", { updateHubAssignment: true, migrateDeviceData: true }],
    ["reset", { updateHubAssignment: true, migrateDeviceData: false }],
    ["never", { updateHubAssignment: false, migrateDeviceData: false }],
  ] as const)("reads and writes the re-provision policy %s", (reprovisioning, reprovisionPolicy) => {
    expect(draftOf(individualKind, { ...record, reprovisionPolicy }).reprovisioning).toBe(reprovisioning);
    expect(edited({ reprovisioning })).toMatchObject({ reprovisionPolicy });
  });

  it("gives a group no device id", () => {
    expect(recordOf(groupKind, { ...newDraft(groupKind), id: "g", deviceId: "x" })).not.toHaveProperty(
      "deviceId",
    );
  });

  it.each([
    ["registrationId", { id: "" }],
    ["registrationId", { id: "ends-with." }],
    ["attestation.x509.clientCertificates.primary", {}],
    ["attestation.tpm.endorsementKey", { attestation: "tpm" }],
    [
      "attestation.symmetricKey.primaryKey",
      { attestation: "symmetricKey", ownKeys: true, primaryKey: "short" },
    ],
    ["deviceId", { deviceId: "with space" }],
    ["iotHubs", { allocation: "static" }],
    ["customAllocationDefinition.webhookUrl", { allocation: "custom", webhookUrl: "http://plain.example" }],
    ["initialTwin", { twin: "{" }],
    ["initialTwin", { twin: '{"tags": {"a.b": 1}}' }],
    ["initialTwin", { twin: '{"desired": {}}' }],
  ] as [string, Partial<Draft>][])("finds a mistake at %s in %j", (field, change) => {
    const draft = { ...newDraft(individualKind), id: "gw-1", ...change };
    expect([...mistakesIn(individualKind, draft, { isNew: true }).keys()]).toContain(field);
  });

  it("finds none where there is none", () => {
    const draft = { ...newDraft(individualKind), id: "gw-1", attestation: "symmetricKey" } as const;
    expect(mistakesIn(individualKind, draft, { isNew: true }).size).toBe(0);
  });
});

describe("two people at one enrollment", () => {
  const base = draftOf(individualKind, record);

  it("keeps mine, takes theirs, and says where both differ", () => {
    const mine = { ...base, deviceId: "mine", iotEdge: false, enabled: true };
    const current = { ...base, deviceId: "theirs", hubs: ["c.example"], enabled: true };
    expect(mergeDrafts(base, mine, current)).toEqual({
      draft: { ...base, deviceId: "mine", iotEdge: false, enabled: true, hubs: ["c.example"] },
      theirs: [
        { field: "deviceId", disputed: true },
        { field: "hubs", disputed: false },
        { field: "enabled", disputed: false },
      ],
    });
  });

  it("has nothing to say when nothing visible changed", () => {
    expect(mergeDrafts(base, { ...base, deviceId: "mine" }, base).theirs).toEqual([]);
  });
});
