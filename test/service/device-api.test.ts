import { createHmac } from "node:crypto";
import { describe, expect, it } from "vitest";
import { openStore } from "../../src/service/store.ts";
import vectors from "../fixtures/dps-vectors.json" with { type: "json" };
import { type Ask, openDesk, sasToken, temporaryFile } from "./desk.ts";

const key = Buffer.from("a symmetric key of the enrollment").toString("base64");
const symmetric = {
  attestation: { type: "symmetricKey", symmetricKey: { primaryKey: key, secondaryKey: key } },
};
const hub = "hub.mooring.internal";

/** A desk where `gw-1` is enrolled with `key`. */
function deskWithDevice(options: Parameters<typeof openDesk>[0] = {}) {
  const desk = openDesk(options);
  desk.enroll("gw-1", symmetric);
  const asDevice = (ask: Partial<Ask> = {}) =>
    desk.ask({ registrationId: "gw-1", authorization: desk.token("gw-1", key), ...ask });
  return { ...desk, asDevice };
}

describe("a registration", () => {
  it("is answered with an operation, and the operation with hub and device id", async () => {
    const { asDevice } = deskWithDevice();
    const accepted = await asDevice();
    expect(accepted).toMatchObject({ status: 202, retryAfterSeconds: 3, body: { status: "assigning" } });
    const { operationId } = accepted.body;
    expect(operationId).toMatch(/^\d\.[0-9a-f]{16}\.[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$/);

    const finished = await asDevice({ operation: "operation", operationId });
    expect(finished).toMatchObject({ status: 200, body: { operationId, status: "assigned" } });
    expect(finished.retryAfterSeconds).toBeUndefined();
    const state = finished.body.registrationState;
    expect(state).toMatchObject({
      registrationId: "gw-1",
      status: "assigned",
      substatus: "initialAssignment",
      assignedHub: hub,
      deviceId: "gw-1",
      symmetricKey: {},
    });
    expect(state["createdDateTimeUtc"]).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{7}Z$/);
    expect(Buffer.from(String(state["etag"]), "base64").toString()).toMatch(/^"[0-9a-f-]{36}"$/);
  });

  it("has the members of the answer in Azure's documentation", async () => {
    const { asDevice } = deskWithDevice();
    const { operationId } = (await asDevice()).body;
    const ours = (await asDevice({ operation: "operation", operationId })).body.registrationState;
    const documented = vectors.deviceResponses.filter(({ via }) => via === "https 200")[0]?.json
      .registrationState;
    expect(Object.keys(ours)).toEqual(expect.arrayContaining(Object.keys(documented ?? expect.fail())));
  });

  it("stays assigning for as long as the service is told to take", async () => {
    const { asDevice, clock } = deskWithDevice({ assigningMs: 5000 });
    const { operationId } = (await asDevice()).body;
    const poll = { operation: "operation", operationId } as const;
    expect(await asDevice(poll)).toMatchObject({
      status: 202,
      retryAfterSeconds: 3,
      body: {
        operationId,
        status: "assigning",
        registrationState: { registrationId: "gw-1", status: "assigning" },
      },
    });
    await clock.sleep(5000, { signal: new AbortController().signal });
    expect(await asDevice(poll)).toMatchObject({ status: 200, body: { status: "assigned" } });
  });

  it("is finished in the first answer when nobody has to wait", async () => {
    const { asDevice } = deskWithDevice({ retryAfterSeconds: 0 });
    expect(await asDevice()).toMatchObject({
      status: 200,
      body: { status: "assigned", registrationState: { assignedHub: hub } },
    });
  });

  it("is logged once, without a secret", async () => {
    const { asDevice, log } = deskWithDevice();
    await asDevice();
    const { events } = log;
    expect(events.map(({ event }) => event)).toEqual(["device.registered"]);
    expect(events[0]?.fields).toMatchObject({ registrationId: "gw-1", transport: "https", assignedHub: hub });
    expect(JSON.stringify(events)).not.toContain(key);
  });

  it.each(["mqtt", "mqtt-ws"] as const)("works over %s", async (transport) => {
    const { asDevice } = deskWithDevice();
    expect(await asDevice({ transport, apiVersion: "2019-03-31" })).toMatchObject({ status: 202 });
  });

  it.each([
    ["nothing", new Uint8Array()],
    ["a space", Buffer.from(" ")],
    ["an empty object", {}],
    ["a payload that is null", { registrationId: "gw-1", payload: null }],
    ["its id in another case", { registrationId: "GW-1" }],
    ["members that nobody knows", { registrationId: "gw-1", forceRegistration: true }],
    ["a payload", { payload: { site: "north" } }],
  ])("takes %s for a body", async (_, body) => {
    expect((await deskWithDevice().asDevice({ body })).status).toBe(202);
  });

  it("keeps what the device sent along, and does not send it back", async () => {
    const { asDevice, store } = deskWithDevice({ retryAfterSeconds: 0 });
    const answer = await asDevice({ body: { payload: { site: "north" } } });
    expect(answer.body.registrationState).not.toHaveProperty("payload");
    expect(store.registrations.get("gw-1")?.devicePayload).toEqual({ site: "north" });
  });

  it.each([
    "2018-04-01",
    "2018-09-01-preview",
    "2019-03-31",
    "2021-06-01",
    "2021-10-01",
    "2025-07-01-preview",
  ])("takes api-version %s", async (apiVersion) => {
    expect((await deskWithDevice().asDevice({ apiVersion })).status).toBe(202);
  });
});

describe("a poll", () => {
  it("is deaf to its body", async () => {
    const { asDevice } = deskWithDevice();
    const { operationId } = (await asDevice()).body;
    for (const body of [
      Buffer.from(" "),
      Buffer.from("{}"),
      Buffer.from("\u0000garbage"),
      { registrationId: "other" },
    ]) {
      expect((await asDevice({ operation: "operation", operationId, body })).status).toBe(200);
    }
  });

  it("needs the credential again", async () => {
    const { asDevice, ask } = deskWithDevice();
    const { operationId } = (await asDevice()).body;
    const answer = await ask({ registrationId: "gw-1", operation: "operation", operationId });
    expect(answer).toMatchObject({ status: 401, body: { errorCode: 401002 } });
  });

  it("is refused for an operation of another device, and for one that never was", async () => {
    const { asDevice, ask, enroll, token } = deskWithDevice();
    const { operationId } = (await asDevice()).body;
    enroll("gw-2", symmetric);
    const asOther = {
      registrationId: "gw-2",
      authorization: token("gw-2", key),
      operation: "operation",
    } as const;
    expect(await ask({ ...asOther, operationId })).toMatchObject({
      status: 404,
      body: { errorCode: 404202 },
    });
    expect(await asDevice({ operation: "operation", operationId: "5.0000000000000000.none" })).toMatchObject({
      status: 404,
      body: { errorCode: 404202 },
    });
  });

  it("is answered after a restart of the service", async () => {
    const file = temporaryFile("service.db");
    const before = deskWithDevice({ store: openStore(file) });
    const { operationId } = (await before.asDevice()).body;
    before.store.close();
    const after = openDesk({ store: openStore(file) });
    const authorization = after.token("gw-1", key);
    const poll = { registrationId: "gw-1", authorization, operation: "operation", operationId } as const;
    expect(await after.ask(poll)).toMatchObject({ status: 200, body: { status: "assigned" } });
    after.store.close();
  });
});

describe("a lookup", () => {
  it("shows the registration, and says when there is none", async () => {
    const { asDevice } = deskWithDevice();
    expect(await asDevice({ operation: "lookup" })).toMatchObject({
      status: 404,
      body: { errorCode: 404202 },
    });
    await asDevice();
    expect(await asDevice({ operation: "lookup", body: {} })).toMatchObject({
      status: 200,
      body: { registrationId: "gw-1", status: "assigned", assignedHub: hub, deviceId: "gw-1" },
    });
  });
});

describe("a disabled enrollment", () => {
  it("is answered as Azure does, with no operation to ask for", async () => {
    const { asDevice, enroll } = deskWithDevice();
    enroll("gw-1", { ...symmetric, provisioningStatus: "disabled" });
    const documented = vectors.deviceResponses.find(({ json }) => json.status === "disabled")?.json;
    const { status, body } = await asDevice();
    expect(status).toBe(200);
    expect(body).toEqual({
      ...documented,
      registrationState: { registrationId: "gw-1", status: "disabled" },
    });
  });

  it("is not told to strangers", async () => {
    const { asDevice, enroll, token } = deskWithDevice();
    enroll("gw-1", { ...symmetric, provisioningStatus: "disabled" });
    expect((await asDevice({ authorization: token("gw-1", "AAAA") })).status).toBe(401);
  });
});

describe("a refusal", () => {
  const past = (id: string) => (desk: ReturnType<typeof deskWithDevice>) => ({
    authorization: sasToken({
      resource: encodeURIComponent(`${desk.store.idScope}/registrations/${id}`),
      key,
      expiry: String(Math.floor(desk.clock.now() / 1000) - 301),
    }),
  });
  const fixed = (ask: Partial<Ask>) => () => ask;

  it.each<[string, number, (desk: ReturnType<typeof deskWithDevice>) => Partial<Ask>]>([
    ["no api-version", 400000, fixed({ apiVersion: undefined })],
    ["an unknown api-version", 400000, fixed({ apiVersion: "1999-01-01" })],
    ["malformed JSON", 400000, fixed({ body: Buffer.from("{") })],
    ["bytes that are not UTF-8", 400000, fixed({ body: Buffer.from([0x22, 0xff, 0x22]) })],
    ["a body that is no object", 400000, fixed({ body: [1] })],
    ["a registrationId that is no text", 400000, fixed({ body: { registrationId: 5 } })],
    ["another registrationId in the body", 400000, fixed({ body: { registrationId: "gw-2" } })],
    ["a certificate request", 400000, fixed({ body: { csr: "MIIB" } })],
    ["a message over 96 KB", 400000, fixed({ body: { payload: "x".repeat(96 * 1024) } })],
    ["an impossible registration id", 400000, fixed({ registrationId: "gw/1" })],
    ["an id that is too long", 400000, fixed({ registrationId: "g".repeat(129) })],
    ["another id scope", 404000, fixed({ idScope: "0ne00FFFFFF" })],
    [
      "an id that is not enrolled",
      404201,
      (desk) => ({ registrationId: "gw-9", authorization: desk.token("gw-9", key) }),
    ],
    [
      "a TPM that is not enrolled",
      404201,
      () => ({ registrationId: "gw-9", authorization: "", body: { tpm: { endorsementKey: "x" } } }),
    ],
    ["a wrong key", 401002, (desk) => ({ authorization: desk.token("gw-1", "AAAA") })],
    [
      "a wrong key over MQTT",
      401000,
      (desk) => ({ transport: "mqtt", authorization: desk.token("gw-1", "AAAA") }),
    ],
    ["a token that is none", 401002, fixed({ authorization: "Bearer x" })],
    ["a token of another device", 401002, (desk) => ({ authorization: desk.token("gw-2", key) })],
    ["a token that ran out", 401002, past("gw-1")],
    ["no credential", 401002, fixed({ authorization: "" })],
    ["no credential and an unknown id", 401002, fixed({ registrationId: "gw-9", authorization: "" })],
  ])("of %s has the code %i and a tracking id", async (_, errorCode, make) => {
    const desk = deskWithDevice();
    const { status, body, requestId } = await desk.asDevice(make(desk));
    expect(body).toEqual({
      errorCode,
      trackingId: requestId,
      message: expect.any(String),
      timestampUtc: expect.stringMatching(/\.\d{7}Z$/),
    });
    expect(status).toBe(Math.floor(errorCode / 1000));
    expect(requestId).toMatch(/^[0-9a-f-]{36}$/);
    expect(desk.store.registrations.get("gw-1")).toBeUndefined();
    expect(desk.log.events.map(({ event }) => event)).toEqual(["device.refused"]);
  });

  it("of something unforeseen is a 500 that tells nothing of it", async () => {
    const desk = deskWithDevice({ store: openStore(temporaryFile("service.db")) });
    desk.store.close();
    const { status, body } = await desk.asDevice();
    expect(status).toBe(500);
    expect(body).toMatchObject({ errorCode: 500000, message: "Internal server error." });
    expect(desk.log.events[0]?.event).toBe("device.error");
  });
});

describe("a symmetric key", () => {
  it.each(["primaryKey", "secondaryKey"] as const)("may be the enrollment's %s", async (name) => {
    const { enroll, ask, token } = openDesk();
    const row = enroll("gw-1", { attestation: { type: "symmetricKey" } });
    const keys = row.attestation.type === "symmetricKey" ? row.attestation.symmetricKey : expect.fail();
    expect(Buffer.from(keys[name], "base64")).toHaveLength(64);
    expect((await ask({ registrationId: "gw-1", authorization: token("gw-1", keys[name]) })).status).toBe(
      202,
    );
  });

  it("of a group is derived as Azure documents it", async () => {
    const [{ groupKeyB64, registrationId, derivedKeyB64 } = expect.fail()] = vectors.symmetricKeyGroup;
    const { enrollGroup, ask, token, store } = openDesk();
    enrollGroup("line-1", {
      attestation: { type: "symmetricKey", symmetricKey: { primaryKey: groupKeyB64, secondaryKey: key } },
    });
    expect((await ask({ registrationId, authorization: token(registrationId, derivedKeyB64) })).status).toBe(
      202,
    );
    expect(store.registrations.get(registrationId)).toMatchObject({
      enrollmentGroupId: "line-1",
      deviceId: registrationId,
    });
    expect(store.devices.get(hub, registrationId)?.authentication).toMatchObject({
      primaryKey: derivedKeyB64,
    });
    // The group's own key signs nothing.
    expect((await ask({ registrationId, authorization: token(registrationId, groupKeyB64) })).status).toBe(
      401,
    );
  });

  it("of a group may be derived from the id as sent or in lower case", async () => {
    const { enrollGroup, ask, token } = openDesk();
    enrollGroup("line-1", symmetric);
    const derive = (id: string) => createHmac("sha256", Buffer.from(key, "base64")).update(id).digest();
    for (const spelled of ["Gw-A", "gw-a"]) {
      expect(
        (await ask({ registrationId: "Gw-A", authorization: token("Gw-A", derive(spelled)) })).status,
      ).toBe(202);
    }
    expect((await ask({ registrationId: "Gw-A", authorization: token("Gw-A", derive("GW-A")) })).status).toBe(
      401,
    );
  });
});
