import { describe, expect, it } from "vitest";
import vectors from "../../fixtures/dps-vectors.json" with { type: "json" };
import { type Ask, openDesk, sasToken } from "../desk.ts";
import { softTpm } from "../soft-tpm.ts";

const tpm = softTpm();
const another = softTpm();
const keys = { endorsementKey: tpm.endorsementKey, storageRootKey: tpm.storageRootKey };
const registration = { registrationId: "gw-tpm", tpm: keys };

function deskWithTpm(enrolled: Record<string, unknown> = { endorsementKey: tpm.endorsementKey }) {
  const desk = openDesk();
  const enroll = (more: Record<string, unknown> = {}) =>
    desk.enroll("gw-tpm", { attestation: { type: "tpm", tpm: enrolled }, ...more });
  enroll();
  const asDevice = (ask: Partial<Ask> = {}) =>
    desk.ask({ registrationId: "gw-tpm", body: registration, ...ask });
  /** The first round: the token that the challenge makes possible. */
  const challenged = async (): Promise<string> =>
    desk.token("gw-tpm", tpm.activate((await asDevice()).body.authenticationKey));
  return { ...desk, enroll, asDevice, challenged };
}

const wait = { signal: new AbortController().signal };

describe("a TPM", () => {
  it("is challenged first, in the words of real answers", async () => {
    const { status, body } = await deskWithTpm().asDevice();
    const real = vectors.challengeResponses401[0]?.json ?? expect.fail();
    expect(status).toBe(401);
    expect(body).toEqual({ ...real, authenticationKey: expect.any(String) });
  });

  it("is assigned when it signs with the key of the challenge, and is given the hub's key", async () => {
    const { asDevice, challenged, store } = deskWithTpm();
    const authorization = await challenged();
    const { operationId } = (await asDevice({ authorization })).body;
    const { body } = await asDevice({ authorization, operation: "operation", operationId });
    expect(body).toMatchObject({ status: "assigned", registrationState: { deviceId: "gw-tpm" } });
    const hubKey = tpm.activate(body.registrationState.tpm?.authenticationKey ?? expect.fail("no key"));
    const device = store.devices.get("hub.mooring.internal", "gw-tpm");
    expect(device?.authentication).toMatchObject({ type: "sas", primaryKey: hubKey.toString("base64") });
    expect(hubKey).toHaveLength(32);
  });

  it("may leave its keys out of the second request", async () => {
    const { asDevice, challenged } = deskWithTpm();
    const authorization = await challenged();
    expect((await asDevice({ authorization, body: { registrationId: "gw-tpm" } })).status).toBe(202);
  });

  it("may name its endorsement key without the size in front", async () => {
    const bare = Buffer.from(tpm.endorsementKey, "base64").subarray(2).toString("base64");
    expect((await deskWithTpm({ endorsementKey: bare }).asDevice()).body.authenticationKey).toEqual(
      expect.any(String),
    );
  });

  it("keeps its hub key when it registers again, until the board is replaced", async () => {
    const { asDevice, challenged, store, enroll, ask, token } = deskWithTpm();
    const keyAtHub = () => store.devices.get("hub.mooring.internal", "gw-tpm")?.authentication;
    await asDevice({ authorization: await challenged() });
    const first = keyAtHub();
    await asDevice({ authorization: await challenged() });
    expect(keyAtHub()).toEqual(first);

    const replaced = { endorsementKey: another.endorsementKey, storageRootKey: another.storageRootKey };
    enroll({ attestation: { type: "tpm", tpm: { endorsementKey: another.endorsementKey } } });
    const { body } = await ask({ registrationId: "gw-tpm", body: { tpm: replaced } });
    const authorization = token("gw-tpm", another.activate(body.authenticationKey));
    await ask({ registrationId: "gw-tpm", body: { tpm: replaced }, authorization });
    expect(keyAtHub()).not.toEqual(first);
  });

  it("has three challenges open at once, for a quarter of an hour", async () => {
    const { asDevice, challenged, clock } = deskWithTpm();
    const [first, second, third, fourth] = [
      await challenged(),
      await challenged(),
      await challenged(),
      await challenged(),
    ];
    expect((await asDevice({ authorization: first })).status).toBe(401);
    for (const authorization of [second, third, fourth]) {
      expect((await asDevice({ authorization })).status).toBe(202);
    }
    await clock.sleep(15 * 60_000, wait);
    expect((await asDevice({ authorization: fourth })).status).toBe(401);
    expect((await asDevice({ authorization: await challenged() })).status).toBe(202);
  });

  it("polls with the key of the challenge", async () => {
    const { asDevice, challenged, token } = deskWithTpm();
    const authorization = await challenged();
    const { operationId } = (await asDevice({ authorization })).body;
    const poll = { operation: "operation", operationId } as const;
    expect((await asDevice({ ...poll, authorization: token("gw-tpm", "AAAA") })).body.errorCode).toBe(401002);
    expect((await asDevice({ ...poll, body: {} })).status).toBe(400);
    expect((await asDevice({ ...poll, authorization })).status).toBe(200);
  });
});

describe("a TPM is refused", () => {
  it.each<[string, number, Partial<Ask>]>([
    [
      "with another endorsement key",
      401002,
      { body: { tpm: { ...keys, endorsementKey: another.endorsementKey } } },
    ],
    ["without keys", 400000, { body: {} }],
    ["without a storage root key", 400000, { body: { tpm: { endorsementKey: tpm.endorsementKey } } }],
    [
      "with a storage root key that is none",
      400000,
      { body: { tpm: { ...keys, storageRootKey: tpm.endorsementKey.slice(8) } } },
    ],
    ["over MQTT", 400000, { transport: "mqtt" }],
    ["over MQTT in WebSockets", 400000, { transport: "mqtt-ws" }],
  ])("%s, and gets no challenge", async (_, errorCode, ask) => {
    const { body } = await deskWithTpm().asDevice(ask);
    expect(body).toMatchObject({ errorCode });
    expect(body).not.toHaveProperty("authenticationKey");
    expect(body).not.toHaveProperty("status");
  });

  it("with a wrong signature, and is not challenged again", async () => {
    const { asDevice, challenged, token } = deskWithTpm();
    await challenged();
    const { status, body } = await asDevice({ authorization: token("gw-tpm", "AAAA") });
    expect(status).toBe(401);
    expect(body).toMatchObject({ errorCode: 401002 });
    expect(body).not.toHaveProperty("authenticationKey");
  });

  it("with the challenge of another registration", async () => {
    const desk = deskWithTpm();
    const sibling = openDesk({ store: desk.store });
    sibling.enroll("gw-tpm-2", { attestation: { type: "tpm", tpm: { endorsementKey: tpm.endorsementKey } } });
    const answer = await desk.ask({ registrationId: "gw-tpm-2", body: { tpm: keys } });
    const key = tpm.activate(answer.body.authenticationKey);
    expect((await desk.asDevice({ authorization: desk.token("gw-tpm", key) })).status).toBe(401);
    const asSibling = { registrationId: "gw-tpm-2", authorization: desk.token("gw-tpm-2", key) };
    expect((await desk.ask(asSibling)).status).toBe(202);
  });

  it("when its enrollment is disabled, before it gives up its key for a challenge", async () => {
    const { asDevice, enroll } = deskWithTpm();
    enroll({ provisioningStatus: "disabled" });
    const { status, body } = await asDevice();
    expect(status).toBe(200);
    expect(body).toMatchObject({ operationId: "", status: "disabled" });
  });

  it("with a storage root key other than the enrolled one, where one is enrolled", async () => {
    const pinned = deskWithTpm({ ...keys });
    expect((await pinned.asDevice()).body).toHaveProperty("authenticationKey");
    const body = { tpm: { ...keys, storageRootKey: another.storageRootKey } };
    expect((await pinned.asDevice({ body })).body).toMatchObject({ errorCode: 401002 });
  });

  it("with a token whose time is over, even when the key is right", async () => {
    const { asDevice, clock, store } = deskWithTpm();
    const key = tpm.activate((await asDevice()).body.authenticationKey);
    const expired = sasToken({
      resource: encodeURIComponent(`${store.idScope}/registrations/gw-tpm`),
      key,
      expiry: String(Math.floor(clock.now() / 1000) - 301),
    });
    expect((await asDevice({ authorization: expired })).body).toMatchObject({ errorCode: 401002 });
  });
});
