// Every scenario as a device sees it on the wire, over HTTPS and over MQTT, ordered through the management API.

import { createHmac, randomBytes } from "node:crypto";
import { beforeEach, describe, expect, it } from "vitest";
import { eventually } from "../support/eventually.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";
import { virtualClock } from "../support/virtual-clock.ts";
import {
  deviceToken,
  httpsDevice,
  type Lab,
  mqttDevice,
  openLab,
  type RawDevice,
  type RawMqttDevice,
} from "./lab.ts";
import { deviceCertificates } from "./sockets.ts";
import { softTpm } from "./soft-tpm.ts";

let lab: Lab;
let key: string;

beforeEach(async () => {
  lab = await openLab();
  key = await lab.enrollKey("gw-1");
});

const order = async (scenario: object, target = "service", to = lab): Promise<void> => {
  const answer = await to.operate("PUT", `/mooring/scenarios/${target}`, scenario);
  expect(answer.status, answer.text).toBe(200);
};

/** What the log told of scenarios. */
const told = (): unknown[] =>
  lab.log.events.filter(({ event }) => event === "scenario.applied").map(({ fields }) => fields);

const assigned = { status: "assigned", registrationState: { assignedHub: "lab.example", deviceId: "gw-1" } };

const doors: { transport: string; open: () => Promise<RawDevice> }[] = [
  { transport: "https", open: async () => httpsDevice(lab, "gw-1", key) },
  { transport: "mqtt", open: () => mqttDevice(lab, "gw-1", key) },
];

describe.each(doors)("over $transport", ({ transport, open }) => {
  const operationOf = (answer: { body: Record<string, unknown> }): string =>
    answer.body["operationId"] as string;

  it("nothing is out of the ordinary unless it is ordered", async () => {
    const device = await open();
    const registered = await device.register();
    expect(registered.status).toBe(202);
    expect((await device.poll(operationOf(registered))).body).toMatchObject(assigned);
    expect(told()).toEqual([]);
  });

  it("throttle answers 429 with its Retry-After, as often as ordered, and is told each time", async () => {
    await order({ kind: "throttle", retryAfterSeconds: 17, times: 2 });
    const device = await open();
    for (const timesLeft of [1, 0]) {
      const throttled = await device.register();
      expect(throttled).toMatchObject({ status: 429, headers: { "retry-after": "17" } });
      expect(throttled.body).toMatchObject({ errorCode: 429000, message: expect.any(String) });
      const scenario = "throttle";
      expect(told().at(-1)).toEqual(
        expect.objectContaining({
          scenario,
          target: "service",
          registrationId: "gw-1",
          transport,
          timesLeft,
        }),
      );
    }
    expect((await device.register()).status).toBe(202);
    expect(told()).toHaveLength(2);
    expect((await lab.operate("GET", "/mooring/scenarios")).body["service"]).toBeNull();
  });

  it("assigning holds an operation for so many polls", async () => {
    await order({ kind: "assigning", polls: 2, times: 1 }, "enrollments/GW-1");
    const device = await open();
    const operationId = operationOf(await device.register());
    for (let poll = 0; poll < 2; poll++) {
      const held = await device.poll(operationId);
      expect(held).toMatchObject({ status: 202, headers: { "retry-after": "3" } });
      expect(held.body).toEqual({
        operationId,
        status: "assigning",
        registrationState: { registrationId: "gw-1", status: "assigning" },
      });
    }
    expect((await device.poll(operationId)).body).toMatchObject(assigned);
    expect((await device.poll(operationOf(await device.register()))).status).toBe(200);
    expect(told()).toHaveLength(3);
  });

  it("assigning for ever ends when the scenario is cleared", async () => {
    await order({ kind: "assigning-forever" });
    const device = await open();
    const operationId = operationOf(await device.register());
    for (let poll = 0; poll < 5; poll++) expect((await device.poll(operationId)).status).toBe(202);
    expect((await lab.operate("DELETE", "/mooring/scenarios/service")).status).toBe(204);
    expect((await device.poll(operationId)).body).toMatchObject(assigned);
  });

  it("wrong-key refuses the right credential, at register and at a poll", async () => {
    const device = await open();
    const operationId = operationOf(await device.register());
    await order({ kind: "wrong-key" });
    const errorCode = transport === "https" ? 401_002 : 401_000;
    for (const answer of [await device.register(), await device.poll(operationId)]) {
      expect(answer).toMatchObject({ status: 401, body: { errorCode, message: "Unauthorized" } });
    }
  });

  it("malformed-json breaks every answer off in the middle", async () => {
    await order({ kind: "malformed-json", times: 1 });
    const device = await open();
    const { status, text } = await device.register();
    expect(status).toBe(202);
    expect(text).toMatch(/^\{"operationId":"/);
    expect(() => JSON.parse(text)).toThrow(SyntaxError);
    expect((await device.register()).body["status"]).toBe("assigning");
  });

  it("late answers, and does so in the end", async () => {
    const clock = virtualClock(Date.now());
    lab = await openLab({ clock });
    key = await lab.enrollKey("gw-1");
    await order({ kind: "late", delayMs: 20_000 });
    expect((await (await open()).register()).status).toBe(202);
    expect(clock.sleptMs).toEqual([20_000]);
  });

  it("clock-skew judges tokens by a clock that is off", async () => {
    const device = await open();
    await order({ kind: "clock-skew", skewSeconds: 86_400 });
    const refused = await device.register();
    expect(refused.status).toBe(401);
    const { timestampUtc } = refused.body as { timestampUtc: string };
    expect((Date.parse(timestampUtc) - Date.now()) / 3_600_000).toBeCloseTo(24, 1);
    await order({ kind: "clock-skew", skewSeconds: -86_400 });
    expect((await device.register()).status).toBe(202);
  });

  it("cut-after-202 gives the answer and ends the connection, also where answers come at once", async () => {
    lab = await openLab({ retryAfterSeconds: 0 });
    key = await lab.enrollKey("gw-1");
    await order({ kind: "cut-after-202", times: 1 });
    const device = await open();
    const registered = await device.register();
    expect(registered).toMatchObject({ status: 202, headers: { "retry-after": "1" } });
    if ("client" in device) expect(await (device as RawMqttDevice).client.next()).toBeUndefined();
    expect((await (await open()).poll(operationOf(registered))).body).toMatchObject(assigned);
  });

  it("disconnect ends the connection, then lets the device in", async () => {
    await order({ kind: "disconnect", times: 2 });
    for (let attempt = 0; attempt < 2; attempt++) {
      await expect(open().then((device) => device.register())).rejects.toThrow(/hang up|closed|ECONNRESET/);
    }
    expect((await (await open()).register()).status).toBe(202);
    expect(told()).toHaveLength(2);
  });
});

describe("only over HTTPS", () => {
  it("clock-skew shows in the Date header, of good answers and of refusals", async () => {
    await order({ kind: "clock-skew", skewSeconds: -7200 });
    for (const credential of [key, randomBytes(32).toString("base64")]) {
      const { headers } = await httpsDevice(lab, "gw-1", credential).register();
      expect((Date.parse(headers.date ?? "") - Date.now()) / 3_600_000).toBeCloseTo(-2, 1);
    }
  });

  it("duplicate names the same operation to every registration", async () => {
    await order({ kind: "duplicate" });
    const device = httpsDevice(lab, "gw-1", key);
    const [first, second, third] = [
      await device.register(),
      await device.register(),
      await device.register(),
    ];
    expect(second.body).toEqual(first.body);
    expect(third.body).toEqual(first.body);
    expect((await device.poll(String(third.body["operationId"]))).body).toMatchObject(assigned);
    expect(told()).toHaveLength(2);
  });

  it("wrong-key gives a TPM a challenge that it cannot open, and lets it in afterwards", async () => {
    const tpm = softTpm();
    const { endorsementKey, storageRootKey } = tpm;
    await lab.operate("PUT", "/enrollments/tpm-1", { attestation: { type: "tpm", tpm: { endorsementKey } } });
    await order({ kind: "wrong-key", times: 1 }, "enrollments/tpm-1");
    const path = `/${lab.service.idScope}/registrations/tpm-1/register?api-version=2021-06-01`;
    const body = JSON.stringify({ registrationId: "tpm-1", tpm: { endorsementKey, storageRootKey } });
    const challenge = async (): Promise<string> => {
      const answer = await lab.send("PUT", path, { body });
      expect(answer).toMatchObject({ status: 401, body: { keyName: "registration" } });
      return String(answer.body["authenticationKey"]);
    };
    const wrong = await challenge();
    expect(() => tpm.activate(wrong)).toThrow("TPM_RC_INTEGRITY");
    const authorization = deviceToken(lab, "tpm-1", tpm.activate(await challenge()));
    expect((await lab.send("PUT", path, { body, headers: { authorization } })).status).toBe(202);
    expect(told()).toHaveLength(1);
  });

  it("a device that gives up on a late answer harms nobody", async () => {
    await order({ kind: "late", delayMs: 600_000, times: 1 });
    const impatient = new AbortController();
    const given = expect(
      lab.send("PUT", `/${lab.service.idScope}/registrations/gw-1/register?api-version=2021-06-01`, {
        headers: { authorization: deviceToken(lab, "gw-1", key) },
        signal: impatient.signal,
      }),
    ).rejects.toThrow("aborted");
    await eventually(() => expect(told()).toHaveLength(1));
    impatient.abort();
    await given;
    expect((await httpsDevice(lab, "gw-1", key).register()).status).toBe(202);
  });
});

describe("only over MQTT", () => {
  it("duplicate publishes every answer twice", async () => {
    await order({ kind: "duplicate", times: 1 });
    const device = await mqttDevice(lab, "gw-1", key);
    const first = await device.register();
    expect(await device.nextAnswer()).toEqual(expect.objectContaining({ status: 202, text: first.text }));
    expect((await device.poll(String(first.body["operationId"]))).status).toBe(200);
  });

  it("a late answer holds up nothing that is said meanwhile", async () => {
    await order({ kind: "late", delayMs: 200, times: 1 });
    const { client, nextAnswer } = await mqttDevice(lab, "gw-1", key);
    client.publish("$dps/registrations/PUT/iotdps-register/?$rid=1", "");
    client.send({ cmd: "pingreq" });
    expect((await client.next())?.cmd).toBe("puback");
    expect((await client.next())?.cmd).toBe("pingresp");
    expect((await nextAnswer()).status).toBe(202);
  });

  it("late answers do not pile up without end", async () => {
    await order({ kind: "late", delayMs: 600_000 });
    const { client } = await mqttDevice(lab, "gw-1", key);
    for (let question = 0; question < 101; question++) {
      client.publish("$dps/registrations/PUT/iotdps-register/?$rid=1", "", { qos: 0 });
    }
    expect(await client.next()).toBeUndefined();
  });
});

describe("a scenario is meant for", () => {
  it("one enrollment, in any case of its id, and for nobody else", async () => {
    const otherKey = await lab.enrollKey("gw-2");
    await order({ kind: "throttle" }, "enrollments/GW-1");
    expect((await httpsDevice(lab, "gW-1", key).register()).status).toBe(429);
    expect((await httpsDevice(lab, "gw-2", otherKey).register()).status).toBe(202);
  });

  it("the devices that a group vouches for, whatever they show", async () => {
    const { parts, chain, key: privateKey } = deviceCertificates(temporaryDirectory(), "x509-1");
    const groupKey = randomBytes(32);
    const primaryKey = groupKey.toString("base64");
    await lab.operate("PUT", "/enrollmentGroups/ca", {
      attestation: { type: "x509", x509: { signingCertificates: { primary: { certificate: parts[1] } } } },
    });
    await lab.operate("PUT", "/enrollmentGroups/keys", {
      attestation: { type: "symmetricKey", symmetricKey: { primaryKey, secondaryKey: primaryKey } },
    });
    await order({ kind: "throttle", retryAfterSeconds: 1 }, "enrollmentGroups/ca");
    await order({ kind: "throttle", retryAfterSeconds: 2 }, "enrollmentGroups/keys");
    const derived = createHmac("sha256", groupKey).update("sas-1").digest("base64");
    const certified = { cert: chain, key: privateKey };
    expect((await httpsDevice(lab, "x509-1", certified).register()).headers["retry-after"]).toBe("1");
    const overMqtt = await mqttDevice(lab, "x509-1", certified);
    expect((await overMqtt.register()).headers["retry-after"]).toBe("1");
    expect((await httpsDevice(lab, "sas-1", derived).register()).headers["retry-after"]).toBe("2");
    expect((await httpsDevice(lab, "gw-1", key).register()).status).toBe(202);
    const stranger = await httpsDevice(lab, "sas-1", randomBytes(32).toString("base64")).register();
    expect(stranger.status).toBe(401);
  });

  it("everybody, except those who have one of their own", async () => {
    const otherKey = await lab.enrollKey("gw-2");
    await order({ kind: "throttle", retryAfterSeconds: 1 });
    await order({ kind: "throttle", retryAfterSeconds: 2 }, "enrollments/gw-1");
    expect((await httpsDevice(lab, "gw-1", key).register()).headers["retry-after"]).toBe("2");
    expect((await httpsDevice(lab, "gw-2", otherKey).register()).headers["retry-after"]).toBe("1");
  });
});

describe("scenarios in the management API", () => {
  it("are shown by whom they are meant for", async () => {
    expect((await lab.operate("GET", "/mooring/scenarios")).body).toEqual({
      service: null,
      enrollments: {},
      enrollmentGroups: {},
    });
    await order({ kind: "assigning" });
    await order({ kind: "late", delayMs: 5, times: 3 }, "enrollments/GW-1");
    expect((await lab.operate("GET", "/mooring/scenarios")).body).toEqual({
      service: { kind: "assigning", polls: 3 },
      enrollments: { "gw-1": { kind: "late", delayMs: 5, times: 3 } },
      enrollmentGroups: {},
    });
  });

  it.each([
    ["PUT", "enrollments/nobody", { kind: "throttle" }, 404, "Enrollment not found"],
    ["PUT", "enrollmentGroups/nobody", { kind: "throttle" }, 404, "Enrollment not found"],
    ["PUT", "service", { kind: "explode" }, 400, 'received "explode"'],
    ["DELETE", "service", undefined, 404, "no scenario for service"],
    ["DELETE", "enrollments/gw-1", undefined, 404, "no scenario for enrollments/gw-1"],
  ])("are refused with words: %s %s %j", async (method, target, body, status, words) => {
    const answer = await lab.operate(method, `/mooring/scenarios/${target}`, body);
    expect(answer).toMatchObject({ status, body: { message: expect.stringContaining(words) } });
  });

  it("survive a restart, with the polls that an operation still has to wait for", async () => {
    const directory = temporaryDirectory();
    lab = await openLab({ directory });
    key = await lab.enrollKey("gw-1");
    await order({ kind: "assigning", polls: 2, times: 2 }, "enrollments/gw-1");
    const { operationId } = (await httpsDevice(lab, "gw-1", key).register()).body;
    await httpsDevice(lab, "gw-1", key).poll(String(operationId));
    await lab.stop();
    lab = await openLab({ directory });
    expect(lab.log.events).toContainEqual({
      level: "warn",
      event: "scenario.on",
      fields: { target: "enrollments/gw-1", kind: "assigning", polls: 2, times: 1 },
    });
    const device = httpsDevice(lab, "gw-1", key);
    expect((await device.poll(String(operationId))).status).toBe(202);
    expect((await device.poll(String(operationId))).status).toBe(200);
    expect((await lab.operate("GET", "/mooring/scenarios")).body["enrollments"]).toEqual({
      "gw-1": { kind: "assigning", polls: 2, times: 1 },
    });
  });

  it("go with their enrollment", async () => {
    await order({ kind: "throttle" }, "enrollments/gw-1");
    await lab.operate("DELETE", "/enrollments/gw-1");
    key = await lab.enrollKey("gw-1");
    expect((await httpsDevice(lab, "gw-1", key).register()).status).toBe(202);
  });
});
