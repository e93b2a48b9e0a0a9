import { describe, expect, it } from "vitest";
import { allocate } from "../../src/service/allocation.ts";
import type { EnrollmentGroup, LinkedHub } from "../../src/service/records.ts";

const group = (settings: Partial<EnrollmentGroup>): EnrollmentGroup => ({
  enrollmentGroupId: "plant",
  attestation: { type: "symmetricKey", symmetricKey: { primaryKey: "", secondaryKey: "" } },
  capabilities: { iotEdge: false },
  etag: "",
  provisioningStatus: "enabled",
  createdDateTimeUtc: "",
  lastUpdatedDateTimeUtc: "",
  ...settings,
});
const linked = (...names: string[]): LinkedHub[] =>
  names.map((hostName) => ({ hostName, allocationWeight: 1 }));
const linkedHubs = linked("a.example", "b.example", "c.example");
const devices = Array.from({ length: 3000 }, (_, n) => `gw-${n}`);
const hubOf = (settings: Partial<EnrollmentGroup>, registrationKey: string, hubs = linkedHubs): string => {
  const allocation = allocate(group(settings), { linkedHubs: hubs, registrationKey });
  return "hub" in allocation ? allocation.hub : expect.fail(allocation.errorMessage);
};

describe("hashed allocation", () => {
  it("spreads devices evenly over the linked hubs, and always in the same way", () => {
    const counts = Map.groupBy(devices, (device) => hubOf({}, device));
    for (const { hostName } of linkedHubs) expect(counts.get(hostName)?.length).toBeGreaterThan(900);
    expect(hubOf({ allocationPolicy: "hashed" }, "gw-1")).toBe(hubOf({}, "gw-1"));
    expect(hubOf({ allocationPolicy: "geoLatency" }, "gw-1")).toBe(hubOf({}, "gw-1"));
  });

  it("does not depend on the order of the hubs", () => {
    for (const device of devices.slice(0, 100)) {
      expect(hubOf({}, device, linkedHubs.toReversed())).toBe(hubOf({}, device));
    }
  });

  it("moves devices to a new hub only, and from a lost hub only", () => {
    const grown = [...linkedHubs, ...linked("d.example")];
    const moved = devices.filter((device) => hubOf({}, device, grown) !== hubOf({}, device));
    expect(moved.every((device) => hubOf({}, device, grown) === "d.example")).toBe(true);
    expect(moved.length).toBeGreaterThan(600);
    expect(moved.length).toBeLessThan(900);
  });

  it("keeps to the hubs that the enrollment names", () => {
    const hubs = new Set(
      devices.slice(0, 100).map((device) => hubOf({ iotHubs: ["x.example", "y.example"] }, device)),
    );
    expect(hubs).toEqual(new Set(["x.example", "y.example"]));
  });
});

describe("static allocation", () => {
  it.each<[string, Partial<EnrollmentGroup>]>([
    ["the hub of the enrollment", { allocationPolicy: "static", iotHubHostName: "one.example" }],
    ["its only candidate", { allocationPolicy: "static", iotHubs: ["one.example"] }],
    ["the hub of an enrollment without a policy", { iotHubHostName: "one.example" }],
  ])("takes %s", (_, settings) => {
    expect(hubOf(settings, "gw-1")).toBe("one.example");
  });

  it("fails when no hub is named", () => {
    const allocation = allocate(group({ allocationPolicy: "static" }), {
      linkedHubs,
      registrationKey: "gw-1",
    });
    expect(allocation).toMatchObject({ errorCode: 400208 });
  });
});

describe("custom allocation", () => {
  it("fails with Azure's code and says that no webhook is called", () => {
    const allocation = allocate(group({ allocationPolicy: "custom" }), {
      linkedHubs,
      registrationKey: "gw-1",
    });
    expect(allocation).toEqual({ errorCode: 400207, errorMessage: expect.stringContaining("webhook") });
  });
});
