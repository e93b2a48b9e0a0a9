// The conversation with DPS, against scripted answers: what is asked, how long is waited, and what every answer
// becomes. Bodies are those of Azure's own tests and documents where there is one.

import { describe, expect, it } from "vitest";
import { MooringError } from "../../src/errors.ts";
import { type Credential, type Registration, register } from "../../src/registration/handshake.ts";
import type { DpsAnswer, DpsRequest, Transport } from "../../src/registration/transport.ts";
import { silentLog } from "../../src/system/log.ts";
import vectors from "../fixtures/dps-vectors.json" with { type: "json" };
import { thrownBy } from "../support/thrown.ts";
import { type VirtualClock, virtualClock } from "../support/virtual-clock.ts";

const operationId = "4.d0a671905ea5b2c8.42d78160-4c78-479e-8be7-61d5e55dac0d";
const assigning: DpsAnswer = { status: 202, body: { operationId, status: "assigning" }, retryAfterMs: 3000 };
const documented = (via: string, status: string): unknown =>
  vectors.deviceResponses.find((r) => r.via === via && (r.json as { status?: string }).status === status)
    ?.json;
const assigned: DpsAnswer = { status: 200, body: documented("mqtt 200", "assigned") };

const inAnHour = Date.UTC(2026, 0, 1) + 3_600_000;

interface Conversation {
  readonly asked: DpsRequest[];
  readonly clock: VirtualClock;
  readonly registration: Registration;
}

function conversation(answers: (DpsAnswer | Error)[], overrides: Partial<Registration> = {}): Conversation {
  const asked: DpsRequest[] = [];
  const script = [...answers];
  const transport: Transport = {
    name: "https",
    send: async (request) => {
      asked.push(request);
      const next = script.shift();
      if (next === undefined) return expect.fail("asked more often than the script has answers");
      if (next instanceof Error) throw next;
      return next;
    },
    close: async () => {},
  };
  const clock = virtualClock();
  return {
    asked,
    clock,
    registration: {
      idScope: "0ne1",
      registrationId: "dev",
      credential: { attestation: "x509" },
      transport,
      clock,
      random: () => 0.5,
      log: silentLog,
      signal: new AbortController().signal,
      remainingMs: () => 120_000 - clock.monotonic(),
      ...overrides,
    },
  };
}

describe("register()", () => {
  it("registers, polls after Retry-After, and returns what was assigned", async () => {
    const { registration, asked, clock } = conversation([assigning, assigning, assigned]);
    const result = await register(registration);
    expect(result).toMatchObject({
      assignedHub: "contoso.azure-devices.net",
      deviceId: "my-device-id1",
      substatus: "initialAssignment",
      operationId,
    });
    expect(asked).toEqual([
      { kind: "register", body: { registrationId: "dev" } },
      { kind: "operation", operationId },
      { kind: "operation", operationId },
    ]);
    expect(clock.sleptMs).toEqual([3250, 3250]);
  });

  it("takes an operation that was accepted for one that runs, also where its status is left out", async () => {
    const { registration, asked } = conversation([{ status: 202, body: { operationId } }, assigned]);
    await register(registration);
    expect(asked.at(-1)).toEqual({ kind: "operation", operationId });
  });

  it("never polls more than five times in ten seconds, whatever the service says", async () => {
    const eager = { ...assigning, retryAfterMs: 0 };
    const { registration, clock } = conversation([eager, eager, eager, eager, assigned], { random: () => 0 });
    await register(registration);
    expect(Math.min(...clock.sleptMs)).toBeGreaterThanOrEqual(2000);
  });

  it.each(["x\nROOT_PASSWORD=1", "$(reboot)", "a;b", "x".repeat(65), ""])(
    "leaves out what is no plain word: it would end up in other programs' environment",
    async (substatus) => {
      const state = { assignedHub: "h", deviceId: "d", substatus, etag: "a\0b" };
      const body = { operationId, status: "assigned", registrationState: state };
      const { registration } = conversation([{ status: 200, body }]);
      expect(await register(registration)).toEqual({ assignedHub: "h", deviceId: "d", operationId });
    },
  );

  it("takes an assignment that comes with the first answer", async () => {
    const { registration, clock } = conversation([assigned]);
    expect((await register(registration)).deviceId).toBe("my-device-id1");
    expect(clock.sleptMs).toEqual([]);
  });

  it("sends the payload along, and returns the service's", async () => {
    const state = { assignedHub: "h", deviceId: "d", payload: { from: "webhook" } };
    const { registration, asked } = conversation(
      [{ status: 200, body: { operationId, status: "assigned", registrationState: state } }],
      {
        payload: { site: 7 },
      },
    );
    expect((await register(registration)).payload).toEqual({ from: "webhook" });
    expect(asked[0]).toMatchObject({ body: { payload: { site: 7 } } });
  });

  it("mints a new token for every request, good for this registration alone", async () => {
    const sign = async (): Promise<Uint8Array> => new Uint8Array(32);
    const { registration, asked } = conversation([assigning, assigned], {
      credential: { attestation: "symmetricKey", sign },
    });
    await register(registration);
    const tokens = asked.map(({ authorization }) => String(authorization));
    expect(tokens[0]).toMatch(
      /^SharedAccessSignature sr=0ne1%2Fregistrations%2Fdev&sig=A+%3D&se=\d+&skn=registration$/,
    );
    expect(tokens[1]).not.toBe(tokens[0]);
  });
});

describe("TPM attestation", () => {
  const challenge: DpsAnswer = { status: 401, body: { ...vectors.challengeResponses401[0]?.json } };
  const activated: Uint8Array[] = [];
  const credential: Credential = {
    attestation: "tpm",
    endorsementKey: Uint8Array.from([1]),
    storageRootKey: Uint8Array.from([2]),
    activate: async (key) => {
      activated.push(key);
      return { wrapped: key, sign: async () => Uint8Array.from([activated.length]) };
    },
  };
  const withKey: DpsAnswer = {
    status: 200,
    body: {
      operationId,
      status: "assigned",
      registrationState: { assignedHub: "h", deviceId: "d", tpm: { authenticationKey: "aHVi" } },
    },
  };

  it("answers the challenge with the activated key, and activates the hub's key at the end", async () => {
    activated.length = 0;
    const { registration, asked } = conversation([challenge, assigning, withKey], { credential });
    const result = await register(registration);
    expect(asked.map(({ authorization }) => authorization !== undefined)).toEqual([false, true, true]);
    expect(asked[0]).toMatchObject({ body: { tpm: { endorsementKey: "AQ==", storageRootKey: "Ag==" } } });
    expect(asked[1]).toMatchObject({ body: { tpm: { endorsementKey: "AQ==" } } });
    expect(activated.map((key) => key.length)).toEqual([920, 3]);
    expect(Buffer.from(result.hubKey?.wrapped ?? []).toString()).toBe("hub");
  });

  it("does not accept an assignment that brings no hub key", async () => {
    const { registration } = conversation([challenge, assigned], { credential });
    expect((await thrownBy(() => register(registration))).code).toBe("ERR_PROTOCOL");
  });

  it("tells a refusal from a challenge", async () => {
    const refused = { status: 401, body: { errorCode: 401002, message: "Unauthorized", trackingId: "t" } };
    const { registration } = conversation([refused], { credential });
    expect(await thrownBy(() => register(registration))).toMatchObject({
      code: "ERR_UNAUTHORIZED",
      details: { serviceErrorCode: 401002, trackingId: "t" },
    });
  });

  it("learns without a challenge that its enrollment is disabled", async () => {
    const disabled = { status: 200, body: documented("mqtt 200", "disabled") };
    const { registration } = conversation([disabled], { credential });
    expect((await thrownBy(() => register(registration))).code).toBe("ERR_DISABLED");
  });

  it.each([
    ["200", assigned],
    ["a 401 with a key that is not base64", { status: 401, body: { authenticationKey: "%%%" } }],
  ])("refuses %s in place of a challenge", async (_what, answer) => {
    const { registration } = conversation([answer], { credential });
    expect((await thrownBy(() => register(registration))).code).toBe("ERR_PROTOCOL");
  });
});

describe("final answers", () => {
  const final = (body: unknown, status = 200): DpsAnswer => ({ status, body });
  const hub = (registrationState: unknown): DpsAnswer =>
    final({ operationId, status: "assigned", registrationState });

  it.each<[string, DpsAnswer, string]>([
    ["disabled", final(documented("mqtt 200", "disabled")), "ERR_DISABLED"],
    ["failed", final(documented("mqtt 200", "failed")), "ERR_REGISTRATION_FAILED"],
    [
      "failed for want of a hub",
      final({ operationId, status: "failed", registrationState: { errorCode: 400208 } }),
      "ERR_HUB_MISSING",
    ],
    ["of a status nobody knows", final({ operationId, status: "pondering" }), "ERR_PROTOCOL"],
    ["without a status", final({ operationId }), "ERR_PROTOCOL"],
    ["assigning, but nothing to poll", final({ operationId: "", status: "assigning" }), "ERR_PROTOCOL"],
    ["assigned without a hub", hub({ deviceId: "d" }), "ERR_PROTOCOL"],
    ["assigned without a device id", hub({ assignedHub: "h" }), "ERR_PROTOCOL"],
    [
      "assigned to something that is no host",
      hub({ assignedHub: "h\nEVIL=1", deviceId: "d" }),
      "ERR_PROTOCOL",
    ],
    ["assigned under an impossible id", hub({ assignedHub: "h", deviceId: "d\nEVIL=1" }), "ERR_PROTOCOL"],
    ["not JSON", final(undefined), "ERR_PROTOCOL"],
    ["a list", final([]), "ERR_PROTOCOL"],
    ["400", final({ errorCode: 400000 }, 400), "ERR_REQUEST_REFUSED"],
    ["401", final(documented("mqtt 401", "") ?? { errorCode: 401002 }, 401), "ERR_UNAUTHORIZED"],
    ["403", final({ errorCode: 403000 }, 403), "ERR_UNAUTHORIZED"],
    ["401 of somebody who is no DPS", final({}, 401), "ERR_PROTOCOL"],
    ["403 of a captive portal", final(undefined, 403), "ERR_PROTOCOL"],
    ["404", final({ errorCode: 404201 }, 404), "ERR_NOT_ENROLLED"],
    ["404 of somebody who is no DPS", final(undefined, 404), "ERR_PROTOCOL"],
    ["404 with another's code", final({ errorCode: 400004 }, 404), "ERR_PROTOCOL"],
    [
      "an operation that nothing can name",
      final({ operationId: "\ud800", status: "assigning" }),
      "ERR_PROTOCOL",
    ],
    ["409", final(undefined, 409), "ERR_REQUEST_REFUSED"],
    ["a redirect", final(undefined, 302), "ERR_PROTOCOL"],
  ])("turn into a code: %s", async (_what, answer, code) => {
    const { registration, clock } = conversation([answer]);
    expect((await thrownBy(() => register(registration))).code).toBe(code);
    expect(clock.sleptMs).toEqual([]);
  });

  it("keep errorCode, message and tracking id of the service", async () => {
    const body = vectors.deviceResponses.find((r) => r.via === "https 401")?.json;
    const { registration } = conversation([final(body, 401)]);
    expect((await thrownBy(() => register(registration))).details).toMatchObject({
      serviceErrorCode: 401002,
      serviceMessage: "Invalid certificate",
      trackingId: "f40da7ba-8c91-4796-8fc3-89e1dfbdbe05",
    });
  });

  it.each<[string, DpsAnswer, string]>([
    ["a payload that is too large", final(undefined, 413), "[provisioning] payload"],
    ["an id scope that there is not", final({ errorCode: 404000 }, 404), "id_scope"],
    ["an enrollment that there is not", final({ errorCode: 404201 }, 404), "create the enrollment"],
  ])("say what to do about %s", async (_what, answer, hint) => {
    expect((await thrownBy(() => register(conversation([answer]).registration))).hint).toContain(hint);
  });

  it("say for how long the service wants to be left alone", async () => {
    const { registration } = conversation([{ ...final({ errorCode: 429001 }, 429), retryAfterMs: 300_000 }], {
      isPaced: true,
    });
    expect((await thrownBy(() => register(registration))).message).toBe(
      "the service is throttling this device, and asks to wait 300 s (status 429)",
    );
  });

  const credential: Credential = { attestation: "symmetricKey", sign: async () => new Uint8Array(32) };
  const misdated: DpsAnswer = { status: 401, body: { errorCode: 401002 }, dateAt: inAnHour };

  it("name a wrong clock when tokens are refused and the server's date shows one", async () => {
    const { registration } = conversation([misdated, misdated], { credential });
    const error = await thrownBy(() => register(registration));
    expect(error.details.clockSkewMs).toBe(3_597_000);
    expect(error.hint).toContain("3597 s behind");
  });

  it("lead to one more token, of the service's own time", async () => {
    let tokenTime = Date.UTC(2026, 0, 1);
    const onServiceTime = (at: number): void => {
      tokenTime = at;
    };
    const more = { credential, onServiceTime, tokenTime: () => tokenTime };
    const { registration, asked } = conversation([misdated, assigned], more);
    await register(registration);
    const expiry = asked.map(({ authorization }) => Number(/se=(\d+)/.exec(authorization ?? "")?.[1]));
    expect(expiry).toEqual([inAnHour / 1000, inAnHour / 1000 + 3600]);

    const refused = conversation([misdated, misdated], more);
    const error = await thrownBy(() => register(refused.registration));
    expect(error.details.clockSkewMs).toBe(undefined);
  });

  it("do not blame the clock for a refused certificate, which the server judged by its own", async () => {
    const { registration } = conversation([{ status: 401, body: { errorCode: 401002 }, dateAt: inAnHour }]);
    const error = await thrownBy(() => register(registration));
    expect(error.details.clockSkewMs).toBe(undefined);
    expect(error.hint).toContain("mooring identity show");
  });
});

describe("the service's time", () => {
  const heardFrom = async (answers: DpsAnswer[]): Promise<unknown[]> => {
    const heard: unknown[] = [];
    const onServiceTime = (at: number, kind: string): void => void heard.push([kind, at]);
    await register(conversation(answers, { onServiceTime }).registration).catch(() => {});
    return heard;
  };
  const assignedAt = (lastUpdatedDateTimeUtc: unknown): DpsAnswer => ({
    status: 200,
    body: {
      operationId,
      status: "assigned",
      registrationState: { assignedHub: "hub.example", deviceId: "dev", lastUpdatedDateTimeUtc },
    },
  });

  it("is heard from the date of every answer, refusals included", async () => {
    const answers = [
      { ...assigning, dateAt: 1000 },
      { status: 401, body: { errorCode: 401002 }, dateAt: 2000 },
    ];
    expect(await heardFrom(answers)).toEqual([
      ["now", 1000],
      ["now", 2000],
    ]);
  });

  it("is known to be past the moment of the assignment, where there is no date", async () => {
    expect(await heardFrom([assignedAt("2022-08-31T22:02:50.5163352Z")])).toEqual([
      ["since", Date.UTC(2022, 7, 31, 22, 2, 50, 516)],
    ]);
  });

  it("stays unknown where neither is a time", async () => {
    for (const nonsense of [undefined, 7, "yesterday", null]) {
      expect(await heardFrom([assignedAt(nonsense)])).toEqual([]);
    }
  });
});

describe("trouble on the way", () => {
  const busy: DpsAnswer = { status: 429, body: { errorCode: 429001 }, retryAfterMs: 7000 };
  const broken: DpsAnswer = { status: 503, body: undefined };
  const lost = new MooringError("ERR_CONNECTION_LOST", "gone");

  it("registers again after the time that a busy service names, and not before", async () => {
    const { registration, asked, clock } = conversation([busy, assigned]);
    await register(registration);
    expect(asked.map(({ kind }) => kind)).toEqual(["register", "register"]);
    expect(clock.sleptMs[0]).toBeGreaterThanOrEqual(7000);
  });

  it("backs off further with every failure", async () => {
    const { registration, clock } = conversation([broken, broken, broken, assigned]);
    await register(registration);
    expect(clock.sleptMs).toEqual([3000, 4000, 6000]);
  });

  it("polls the same operation again when the line or the service breaks meanwhile", async () => {
    const unreachable = new MooringError("ERR_CONNECT", "refused");
    const { registration, asked } = conversation([assigning, lost, broken, unreachable, assigned]);
    await register(registration);
    expect(asked.slice(1)).toEqual(Array(4).fill({ kind: "operation", operationId }));
  });

  it("polls at most five times in ten seconds, whatever the service and chance say", async () => {
    const atOnce = { ...assigning, retryAfterMs: 0 };
    const answers = [
      atOnce,
      lost,
      atOnce,
      { ...busy, retryAfterMs: 0 },
      broken,
      atOnce,
      lost,
      lost,
      assigned,
    ];
    const { registration, clock } = conversation(answers, { random: () => 0 });
    await register(registration);
    expect(clock.sleptMs).toHaveLength(8);
    expect(Math.min(...clock.sleptMs)).toBeGreaterThanOrEqual(2000);
  });

  it("gives up after five failures in a row", async () => {
    const { registration, asked } = conversation([broken, broken, broken, broken, broken]);
    expect((await thrownBy(() => register(registration))).code).toBe("ERR_SERVICE_UNAVAILABLE");
    expect(asked.length).toBe(5);
  });

  it.each([busy, broken, lost])(
    "leaves a failed register request to whoever paces the attempts",
    async (trouble) => {
      const { registration, asked, clock } = conversation([trouble], { isPaced: true });
      await thrownBy(() => register(registration));
      expect(asked.length).toBe(1);
      expect(clock.sleptMs).toEqual([]);
    },
  );

  it("polls on patiently, whoever paces the attempts", async () => {
    const { registration } = conversation([assigning, lost, broken, busy, assigned], { isPaced: true });
    expect((await register(registration)).deviceId).toBe("my-device-id1");
  });

  it("says that the line broke, not that there is none, once the service has answered", async () => {
    const unreachable = new MooringError("ERR_CONNECT", "refused");
    const { registration } = conversation([assigning, ...Array(5).fill(unreachable)]);
    expect(await thrownBy(() => register(registration))).toMatchObject({ code: "ERR_CONNECTION_LOST" });
    const first = conversation([unreachable]);
    expect(await thrownBy(() => register(first.registration))).toMatchObject({ code: "ERR_CONNECT" });
  });

  it("says at once what is wrong when the wait would outlast the deadline", async () => {
    const { registration, clock } = conversation([{ ...busy, retryAfterMs: 3_600_000 }]);
    const error = await thrownBy(() => register(registration));
    expect(error).toMatchObject({ code: "ERR_THROTTLED", details: { retryAfterMs: 3_600_000 } });
    expect(clock.sleptMs).toEqual([]);
  });

  it("ends with the deadline when the service assigns for ever", async () => {
    const { registration } = conversation(Array(100).fill(assigning));
    expect((await thrownBy(() => register(registration))).code).toBe("ERR_DEADLINE");
  });

  it("ends with the deadline when the service wants to be asked after it, and remembers when that is", async () => {
    const { registration } = conversation([{ ...assigning, retryAfterMs: 3_600_000 }]);
    expect(await thrownBy(() => register(registration))).toMatchObject({
      code: "ERR_DEADLINE",
      details: { retryAfterMs: 3_600_000 },
    });
  });

  it("does not take a forgotten operation for a missing enrollment", async () => {
    const forgotten = { status: 404, body: { errorCode: 404202, message: "Operation not found." } };
    const { registration } = conversation([assigning, forgotten]);
    expect(await thrownBy(() => register(registration))).toMatchObject({
      ...{ code: "ERR_REGISTRATION_FAILED", hint: expect.stringContaining("forgotten") },
    });
  });

  it("does not repeat a refusal", async () => {
    const { registration, asked } = conversation([{ status: 404, body: { errorCode: 404201 } }]);
    await thrownBy(() => register(registration));
    expect(asked.length).toBe(1);
  });

  it("stops while it waits as soon as it is told to", async () => {
    const stop = new AbortController();
    const { registration } = conversation([assigning, assigned], { signal: stop.signal });
    stop.abort(new MooringError("ERR_CANCELLED", "stopped"));
    expect((await thrownBy(() => register(registration))).code).toBe("ERR_CANCELLED");
  });
});
