import { describe, expect, it } from "vitest";
import { type Ask, type Desk, openDesk } from "./desk.ts";

const key = Buffer.from("a symmetric key of the enrollment").toString("base64");
const attestation = { type: "symmetricKey", symmetricKey: { primaryKey: key, secondaryKey: key } };
const migrate = { updateHubAssignment: true, migrateDeviceData: true };
const reset = { updateHubAssignment: true, migrateDeviceData: false };
const keep = { updateHubAssignment: false, migrateDeviceData: false };
const initialTwin = { tags: { site: "north" }, properties: { desired: { interval: 5 } } };

/** `gw-1` registered once at `one.example`, and its twin has changed since. */
async function settledDevice() {
  const desk = openDesk({ retryAfterSeconds: 0 });
  desk.enroll("gw-1", { attestation, iotHubHostName: "one.example", initialTwin });
  await register(desk);
  const device = desk.store.devices.get("one.example", "gw-1") ?? expect.fail();
  desk.store.devices.put({ ...device, twin: { tags: { site: "changed since" } } });
  return desk;
}

async function register(desk: Desk, ask: Partial<Ask> = {}): Promise<Record<string, unknown>> {
  const authorization = desk.token("gw-1", key);
  return (await desk.ask({ registrationId: "gw-1", authorization, ...ask })).body.registrationState;
}

const twinAt = ({ store }: Desk, hub: string, deviceId = "gw-1") => store.devices.get(hub, deviceId)?.twin;

describe("a first registration", () => {
  it("creates the device at the hub with the enrollment's twin and capabilities", async () => {
    const desk = openDesk({ retryAfterSeconds: 0 });
    desk.enroll("gw-1", {
      attestation,
      deviceId: "Gateway 1".replace(" ", "-"),
      capabilities: { iotEdge: true },
      initialTwin,
    });
    expect(await register(desk)).toMatchObject({ deviceId: "Gateway-1", substatus: "initialAssignment" });
    expect(desk.store.devices.get("hub.mooring.internal", "Gateway-1")).toMatchObject({
      registrationId: "gw-1",
      capabilities: { iotEdge: true },
      twin: initialTwin,
      authentication: { type: "sas", primaryKey: key },
    });
  });

  it("keeps the twin of a device that the hub knows already", async () => {
    const desk = await settledDevice();
    desk.store.registrations.delete("gw-1");
    expect(await register(desk)).toMatchObject({ substatus: "initialAssignment" });
    expect(twinAt(desk, "one.example")).toEqual({ tags: { site: "changed since" } });
  });
});

describe("registering again", () => {
  it("changes nothing while the hub stays the same, but the time and the etag", async () => {
    const desk = await settledDevice();
    const before = desk.store.registrations.get("gw-1") ?? expect.fail();
    await desk.clock.sleep(5000, { signal: new AbortController().signal });
    const state = await register(desk);
    expect(state).toMatchObject({
      assignedHub: "one.example",
      substatus: "initialAssignment",
      createdDateTimeUtc: before.createdDateTimeUtc,
    });
    expect(state["lastUpdatedDateTimeUtc"]).not.toBe(before.lastUpdatedDateTimeUtc);
    expect(desk.store.registrations.get("gw-1")?.etag).not.toBe(before.etag);
    expect(twinAt(desk, "one.example")).toEqual({ tags: { site: "changed since" } });
  });

  it("moves the device with its twin when the policy is to migrate", async () => {
    const desk = await settledDevice();
    desk.enroll("gw-1", {
      attestation,
      iotHubHostName: "two.example",
      initialTwin,
      reprovisionPolicy: migrate,
    });
    expect(await register(desk)).toMatchObject({
      assignedHub: "two.example",
      substatus: "deviceDataMigrated",
    });
    expect(twinAt(desk, "one.example")).toBeUndefined();
    expect(twinAt(desk, "two.example")).toEqual({ tags: { site: "changed since" } });
  });

  it("moves the device and resets its twin when the policy is to reset", async () => {
    const desk = await settledDevice();
    desk.enroll("gw-1", {
      attestation,
      iotHubHostName: "two.example",
      initialTwin,
      reprovisionPolicy: reset,
    });
    expect(await register(desk)).toMatchObject({ assignedHub: "two.example", substatus: "deviceDataReset" });
    expect(twinAt(desk, "one.example")).toBeUndefined();
    expect(twinAt(desk, "two.example")).toEqual(initialTwin);
  });

  it("resets the twin at the same hub too: a factory reset", async () => {
    const desk = await settledDevice();
    desk.enroll("gw-1", {
      attestation,
      iotHubHostName: "one.example",
      initialTwin,
      reprovisionPolicy: reset,
    });
    expect(await register(desk)).toMatchObject({ assignedHub: "one.example", substatus: "deviceDataReset" });
    expect(twinAt(desk, "one.example")).toEqual(initialTwin);
  });

  it("leaves the device where it is when the policy is never to move it", async () => {
    const desk = await settledDevice();
    desk.enroll("gw-1", {
      attestation,
      iotHubHostName: "two.example",
      deviceId: "other",
      reprovisionPolicy: keep,
    });
    expect(await register(desk)).toMatchObject({
      assignedHub: "one.example",
      deviceId: "gw-1",
      substatus: "initialAssignment",
    });
    expect(twinAt(desk, "two.example", "other")).toBeUndefined();
  });

  it("takes a new device id at the same hub", async () => {
    const desk = await settledDevice();
    desk.enroll("gw-1", { attestation, iotHubHostName: "one.example", deviceId: "renamed" });
    expect(await register(desk)).toMatchObject({ assignedHub: "one.example", deviceId: "renamed" });
    expect(twinAt(desk, "one.example")).toBeUndefined();
    expect(twinAt(desk, "one.example", "renamed")).toEqual({ tags: { site: "changed since" } });
  });

  it("does not remove a device that another registration has taken over", async () => {
    const desk = await settledDevice();
    const device = desk.store.devices.get("one.example", "gw-1") ?? expect.fail();
    desk.store.devices.put({ ...device, registrationId: "gw-2" });
    desk.enroll("gw-1", { attestation, iotHubHostName: "two.example", initialTwin });
    await register(desk);
    expect(desk.store.devices.get("one.example", "gw-1")).toMatchObject({ registrationId: "gw-2" });
    expect(twinAt(desk, "two.example")).toEqual(initialTwin);
  });

  it.each([
    ["2018-04-01", "one.example"],
    ["2018-09-01-preview", "two.example"],
  ])("with api-version %s and no policy on record ends at %s", async (apiVersion, hub) => {
    const desk = await settledDevice();
    const row = desk.store.enrollments.get("gw-1") ?? expect.fail();
    const { reprovisionPolicy: _, ...old } = row;
    desk.store.enrollments.put({ ...old, iotHubHostName: "two.example" });
    expect(await register(desk, { apiVersion })).toMatchObject({ assignedHub: hub });
  });
});

describe("a registration that finds no hub", () => {
  const nowhere = { attestation, allocationPolicy: "static" };

  it("is answered as failed, as Azure does: with 200, code and message", async () => {
    const desk = openDesk({ retryAfterSeconds: 0 });
    desk.enroll("gw-1", nowhere);
    const answer = await desk.ask({ registrationId: "gw-1", authorization: desk.token("gw-1", key) });
    expect(answer).toMatchObject({ status: 200, body: { status: "failed" } });
    expect(answer.body.registrationState).toMatchObject({
      status: "failed",
      errorCode: 400208,
      errorMessage: expect.stringContaining("hub"),
    });
    expect(answer.body.registrationState).not.toHaveProperty("assignedHub");
    expect(answer.body.registrationState).not.toHaveProperty("deviceId");
    expect(desk.log.events[0]?.event).toBe("device.failed");
  });

  it("does not forget where the device is", async () => {
    const desk = await settledDevice();
    desk.enroll("gw-1", nowhere);
    expect(await register(desk)).toMatchObject({ status: "failed" });
    desk.enroll("gw-1", { attestation, iotHubHostName: "two.example" });
    expect(await register(desk)).toMatchObject({ status: "assigned", substatus: "deviceDataMigrated" });
    expect(twinAt(desk, "one.example")).toBeUndefined();
  });
});
