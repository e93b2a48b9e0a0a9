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
  return allocation && "hub" in allocation ? allocation.hub : expect.fail(JSON.stringify(allocation));
};

const withWeights = (...weights: number[]): LinkedHub[] =>
  weights.map((allocationWeight, n) => ({ hostName: `${"abc"[n]}.example`, allocationWeight }));

/** How many of the devices each hub gets, in the order of the hubs. */
function distribution(hubs: readonly LinkedHub[]): number[] {
  const counts = Map.groupBy(devices, (device) => hubOf({}, device, [...hubs]));
  return hubs.map(({ hostName }) => counts.get(hostName)?.length ?? 0);
}

/** Pearson's χ² of the counts against the shares that they should have. */
function fairness(counts: readonly number[], shares: readonly number[]): number {
  const whole = shares.reduce((sum, share) => sum + share);
  return counts.reduce((sum, count, n) => {
    const expected = (devices.length * (shares[n] ?? 0)) / whole;
    return sum + (count - expected) ** 2 / expected;
  }, 0);
}

/** Exceeded by chance once in a thousand, with two degrees of freedom. */
const unlikely = 13.8;

describe("hashed allocation", () => {
  it("spreads devices evenly over the linked hubs, and always in the same way", () => {
    expect(fairness(distribution(linkedHubs), [1, 1, 1])).toBeLessThan(unlikely);
    expect(hubOf({ allocationPolicy: "hashed" }, "gw-1")).toBe(hubOf({}, "gw-1"));
  });

  it("gives each hub its share by weight", () => {
    const weighted = withWeights(1, 2, 5);
    const counts = distribution(weighted);
    expect(fairness(counts, [1, 2, 5])).toBeLessThan(unlikely);
    expect(fairness(counts, [1, 1, 1])).toBeGreaterThan(unlikely);
  });

  it("moves devices only to the hub whose weight grew", () => {
    const moved = devices.filter(
      (device) => hubOf({}, device, withWeights(1, 1, 2)) !== hubOf({}, device, withWeights(1, 1, 1)),
    );
    expect(new Set(moved.map((device) => hubOf({}, device, withWeights(1, 1, 2))))).toEqual(
      new Set(["c.example"]),
    );
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

describe("allocation by latency", () => {
  const away = (...latencies: (number | undefined)[]): LinkedHub[] =>
    latencies.map((latencyMs, n) => ({
      hostName: `${"abc"[n]}.example`,
      allocationWeight: 1,
      ...(latencyMs !== undefined && { latencyMs }),
    }));
  const hubsOf = (hubs: LinkedHub[], settings = {}) =>
    new Set(
      devices
        .slice(0, 200)
        .map((device) => hubOf({ allocationPolicy: "geoLatency", ...settings }, device, hubs)),
    );

  it("takes the nearest hub for everybody", () => {
    expect(hubsOf(away(30, 5, 20))).toEqual(new Set(["b.example"]));
    expect(hubsOf(away(30, undefined, 20))).toEqual(new Set(["c.example"]));
  });

  it("spreads devices by hash over hubs that are equally near, or of which nothing is known", () => {
    expect(hubsOf(away(5, 30, 5))).toEqual(new Set(["a.example", "c.example"]));
    expect(hubsOf(away(undefined, undefined, undefined)).size).toBe(3);
  });

  it("looks no further than the hubs that the enrollment names", () => {
    const iotHubs = ["A.example", "c.example"];
    expect(hubsOf(away(30, 5, 20), { iotHubs })).toEqual(new Set(["c.example"]));
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
  it("is left to the webhook", () => {
    expect(
      allocate(group({ allocationPolicy: "custom" }), { linkedHubs, registrationKey: "gw-1" }),
    ).toBeUndefined();
  });
});
