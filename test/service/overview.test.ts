import { describe, expect, it } from "vitest";
import { rotateKey } from "../../src/service/policies.ts";
import type { Registration } from "../../src/service/records.ts";
import { type Browser, openPortalCounter, type PortalCounter } from "./browser.ts";

const signal = new AbortController().signal;
const symmetric = { attestation: { type: "symmetricKey" } };

async function openSignedIn(policy?: string): Promise<PortalCounter & { one: Browser }> {
  const counter = await openPortalCounter();
  const one = counter.browser();
  await one.signIn(policy);
  return { ...counter, one };
}

/** Registers a device with the key of its enrollment. */
async function register({ store, ask, token }: PortalCounter, registrationId: string): Promise<void> {
  const { attestation } = store.enrollments.get(registrationId) ?? expect.fail();
  const { primaryKey } = attestation.type === "symmetricKey" ? attestation.symmetricKey : expect.fail();
  await ask({ registrationId, authorization: token(registrationId, primaryKey) });
}

describe("the overview", () => {
  it("counts what there is", async () => {
    const counter = await openSignedIn();
    const { one, store, enroll, enrollGroup } = counter;
    const empty = { enrollments: 0, enrollmentGroups: 0, registrations: 0, hubs: 1, scenarios: 0 };
    expect((await one.ask("GET", "/mooring/overview")).body).toEqual({ idScope: store.idScope, ...empty });
    for (const id of ["gw-1", "gw-2", "gw-1"]) enroll(id, symmetric);
    enrollGroup("plant", symmetric);
    await register(counter, "gw-1");
    expect((await one.ask("GET", "/mooring/overview")).body).toEqual({
      idScope: store.idScope,
      ...{ enrollments: 2, enrollmentGroups: 1, registrations: 1, hubs: 1, scenarios: 0 },
    });
  });

  it.each([
    ["enrollmentread", 200],
    ["registrationstatusread", 200],
    ["serviceconfig", 200],
    ["enrollmentwrite", 403],
  ])("is for whoever may read something: %s", async (policy, status) => {
    const { one } = await openSignedIn(policy);
    expect((await one.ask("GET", "/mooring/overview")).status).toBe(status);
  });
});

describe("statistics", () => {
  it("tell minute by minute who was assigned and who failed", async () => {
    const counter = await openSignedIn();
    const { one, clock, store, enroll } = counter;
    enroll("gw-1", symmetric);
    enroll("gw-2", symmetric);
    enroll("lost", { ...symmetric, allocationPolicy: "static", iotHubs: [] });
    await register(counter, "gw-1");
    await register(counter, "gw-1");
    await clock.sleep(2 * 60_000, { signal });
    await register(counter, "gw-2");
    await register(counter, "lost");
    const { body } = await one.ask("GET", "/mooring/statistics?minutes=4");
    const counts = (body.registrations as { assigned: number; failed: number }[]).map(
      ({ assigned, failed }) => [assigned, failed],
    );
    expect(counts).toEqual([
      [0, 0],
      [2, 0],
      [0, 0],
      [1, 1],
    ]);
    expect(Date.parse(body.registrations[3].at)).toBe(Math.floor(clock.now() / 60_000) * 60_000);
    expect(body.hubs).toEqual([{ hostName: store.hubs.all()[0]?.hostName, devices: 2 }]);
  });

  it("forget what is older than a week", async () => {
    const counter = await openSignedIn();
    const { clock, store, enroll } = counter;
    enroll("gw-1", symmetric);
    await register(counter, "gw-1");
    await clock.sleep(7 * 24 * 60 * 60_000, { signal });
    await register(counter, "gw-1");
    expect(store.registrationMinutes.since(0)).toHaveLength(2);
    await clock.sleep(60_000, { signal });
    await register(counter, "gw-1");
    expect(store.registrationMinutes.since(0)).toHaveLength(2);
  });

  it("show a hub that is no longer linked as long as it has devices", async () => {
    const counter = await openSignedIn();
    const { one, enroll } = counter;
    enroll("gw-1", { ...symmetric, iotHubHostName: "Old.example" });
    await register(counter, "gw-1");
    const { body } = await one.ask("GET", "/mooring/statistics");
    expect(body.hubs).toContainEqual({ hostName: "old.example", devices: 1 });
    expect(body.registrations).toHaveLength(60);
  });

  it.each(["0", "10081", "ten", "1e3", "-1", ""])("refuse minutes=%s", async (minutes) => {
    const { one } = await openSignedIn();
    const { status, body } = await one.ask("GET", `/mooring/statistics?minutes=${minutes}`);
    expect({ status, message: body.message }).toEqual({
      status: 400,
      message: expect.stringMatching(/^minutes: /),
    });
  });
});

describe("a list", () => {
  const ids = (items: { registrationId?: string; enrollmentGroupId?: string }[]) =>
    items.map(({ registrationId, enrollmentGroupId }) => registrationId ?? enrollmentGroupId);

  it.each(["enrollments", "enrollmentGroups"] as const)("of %s goes on from page to page", async (plural) => {
    const { one, enroll, enrollGroup } = await openSignedIn();
    const add = plural === "enrollments" ? enroll : enrollGroup;
    for (const id of ["C", "a", "D", "B", "e"]) add(id, symmetric);
    const pages: unknown[] = [];
    let path: string | undefined = `/mooring/${plural}?limit=2`;
    while (path !== undefined) {
      const { body }: { body: { items: never[]; next?: string } } = (await one.ask("GET", path)) as never;
      pages.push(ids(body.items));
      path = body.next === undefined ? undefined : `/mooring/${plural}?limit=2&after=${body.next}`;
    }
    expect(pages).toEqual([["a", "B"], ["C", "D"], ["e"]]);
  });

  it.each(["enrollments", "enrollmentGroups"] as const)(
    "of %s is searched by any part of an id, and by status",
    async (plural) => {
      const { one, enroll, enrollGroup } = await openSignedIn();
      const add = plural === "enrollments" ? enroll : enrollGroup;
      for (const id of ["North-1", "north-2", "south-1"]) add(id, symmetric);
      add("south-2", { ...symmetric, provisioningStatus: "disabled" });
      const find = async (query: string): Promise<unknown> =>
        ids((await one.ask("GET", `/mooring/${plural}?${query}`)).body.items);
      expect(await find("search=NORTH")).toEqual(["North-1", "north-2"]);
      expect(await find("search=-1")).toEqual(["North-1", "south-1"]);
      expect(await find("search=-1&after=NORTH-1")).toEqual(["south-1"]);
      expect(await find("search=%25")).toEqual([]);
      expect(await find("search=_")).toEqual([]);
      expect(await find("status=disabled")).toEqual(["south-2"]);
      expect(await find("status=disabled&search=north")).toEqual([]);
      expect(await find("search=%27%20OR%201%3D1")).toEqual([]);
    },
  );

  it("of enrollments finds a device by its name at the hub, and shows no keys", async () => {
    const { one, enroll } = await openSignedIn();
    enroll("gw-1", { ...symmetric, deviceId: "Boiler-7" });
    const { body } = await one.ask("GET", "/mooring/enrollments?search=boiler");
    expect(body.items).toMatchObject([{ registrationId: "gw-1", deviceId: "Boiler-7" }]);
    expect(body.items[0].attestation).toEqual({ type: "symmetricKey", symmetricKey: {} });
  });

  it("of registrations has what the service API shows, and who let the device in", async () => {
    const counter = await openSignedIn();
    const { one, enroll, store } = counter;
    enroll("gw-1", { ...symmetric, deviceId: "Boiler-7" });
    await register(counter, "gw-1");
    store.registrations.put({
      ...(store.registrations.get("gw-1") as Registration),
      ...{ registrationId: "gw-2", enrollmentGroupId: "Plant", attestation: "tpm", deviceId: "gw-2" },
      devicePayload: { board: "b7" },
    });
    const { body } = await one.ask("GET", "/mooring/registrations");
    expect(body.items).toMatchObject([
      { registrationId: "gw-1", status: "assigned", deviceId: "Boiler-7", attestation: "symmetricKey" },
      {
        registrationId: "gw-2",
        enrollmentGroupId: "Plant",
        attestation: "tpm",
        devicePayload: { board: "b7" },
      },
    ]);
    expect(body).not.toHaveProperty("next");
    expect(ids((await one.ask("GET", "/mooring/registrations?search=boiler")).body.items)).toEqual(["gw-1"]);
    expect(ids((await one.ask("GET", "/mooring/registrations?status=failed")).body.items)).toEqual([]);
    const { body: state } = await one.ask("GET", "/registrations/gw-1?api-version=2021-10-01");
    expect(body.items[0]).toMatchObject(state);
    expect((await one.ask("GET", "/mooring/registrations/GW-2")).body).toEqual(body.items[1]);
    expect((await one.ask("GET", "/mooring/registrations/gw-3")).body.errorCode).toBe(404202);
  });

  it.each([
    ["limit=0", "limit: "],
    ["limit=1001", "limit: "],
    ["limit=x", "limit: "],
    ["search=a&search=b", "search: "],
    [`search=${"x".repeat(129)}`, "search: "],
  ])("refuses %s", async (query, says) => {
    const { one } = await openSignedIn();
    for (const plural of ["enrollments", "enrollmentGroups", "registrations"]) {
      const { status, body } = await one.ask("GET", `/mooring/${plural}?${query}`);
      expect({ status, message: body.message }).toEqual({
        status: 400,
        message: expect.stringContaining(says),
      });
    }
  });

  it("is for whoever may read what is in it", async () => {
    const { browser } = await openSignedIn();
    const [enrollments, registrations] = [browser(), browser()];
    await enrollments.signIn("enrollmentread");
    await registrations.signIn("registrationstatusread");
    const statuses = async (one: Browser): Promise<number[]> => [
      (await one.ask("GET", "/mooring/enrollments")).status,
      (await one.ask("GET", "/mooring/registrations")).status,
    ];
    expect(await statuses(enrollments)).toEqual([200, 403]);
    expect(await statuses(registrations)).toEqual([403, 200]);
  });
});

describe("changes of the store", () => {
  it("are told when they are committed, and not when they are rolled back", async () => {
    const { store, enroll, enrollGroup } = await openPortalCounter();
    const told: string[] = [];
    const undo = store.changes.subscribe((change) => {
      told.push(`${change.of} ${change.id}${"row" in change ? "" : " -"}`);
    });
    enroll("gw-1", symmetric);
    enrollGroup("plant", symmetric);
    store.transaction(() => {
      store.enrollments.delete("gw-1");
      store.enrollments.delete("gw-1");
      expect(told).toHaveLength(2);
    });
    expect(() =>
      store.transaction(() => {
        store.enrollmentGroups.delete("plant");
        throw new RangeError("no");
      }),
    ).toThrow(RangeError);
    rotateKey(store, "enrollmentread", { key: "primary" });
    store.hubs.put({ hostName: "one.example", allocationWeight: 1 });
    expect(told).toEqual([
      "enrollment gw-1",
      "enrollmentGroup plant",
      "enrollment gw-1 -",
      "policy enrollmentread -",
      "hub one.example",
    ]);
    undo();
    store.hubs.delete("one.example");
    expect(told).toHaveLength(5);
  });
});
