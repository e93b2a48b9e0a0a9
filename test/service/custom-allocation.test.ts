import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { MooringError } from "../../src/errors.ts";
import { putHub } from "../../src/service/hubs.ts";
import type { Webhook } from "../../src/service/webhook.ts";
import { certificateWorkshop, type Issued, type Workshop } from "./certificates.ts";
import { type Ask, type Desk, openDesk } from "./desk.ts";
import { softTpm } from "./soft-tpm.ts";

const key = Buffer.from("a symmetric key of the enrollment").toString("base64");
const symmetric = {
  attestation: { type: "symmetricKey", symmetricKey: { primaryKey: key, secondaryKey: key } },
};
const custom = {
  allocationPolicy: "custom",
  customAllocationDefinition: {
    webhookUrl: "https://webhook.example/?code=secret",
    apiVersion: "2021-10-01",
  },
};

interface Question {
  url: string;
  // biome-ignore lint/suspicious/noExplicitAny: JSON whose shape is what is tested
  body: any;
  answer(json: unknown, status?: number): void;
  fail(error: unknown): void;
}

/** A desk whose webhook is the test itself. */
function openWithWebhook(settings: Record<string, unknown> = {}) {
  const questions: Question[] = [];
  const webhook: Webhook = (url, body, { signal }) =>
    new Promise((resolve, reject) => {
      signal.addEventListener("abort", () => reject(signal.reason));
      questions.push({
        ...{ url, body, fail: reject },
        answer: (json, status = 200) =>
          resolve({ status, text: typeof json === "string" ? json : JSON.stringify(json) }),
      });
    });
  const desk = openDesk({ webhook });
  for (const hub of ["one.example", "two.example", "three.example"]) putHub(desk.store, hub, {});
  desk.enroll("gw-1", { ...symmetric, ...custom, ...settings });
  const lastQuestion = (): Question => questions.at(-1) ?? expect.fail("nobody was asked");
  return { desk, questions, lastQuestion };
}

const ask = (desk: Desk, request: Partial<Ask> = {}) =>
  desk.ask({ registrationId: "gw-1", authorization: desk.token("gw-1", key), ...request });

const poll = (desk: Desk, operationId: string) => ask(desk, { operation: "operation", operationId });

/** Registers, has the webhook answer, and resolves to the final answer. */
async function registerWith(
  { desk, lastQuestion }: ReturnType<typeof openWithWebhook>,
  answer: unknown,
  { status = 200, ...request }: Partial<Ask> & { status?: number } = {},
) {
  const { operationId } = (await ask(desk, request)).body;
  lastQuestion().answer(answer, status);
  return settled(desk, operationId);
}

async function settled(desk: Desk, operationId: string) {
  for (;;) {
    const answer = await poll(desk, operationId);
    if (answer.status !== 202) return answer;
    await new Promise((resolve) => setImmediate(resolve));
  }
}

describe("a device whose webhook is being asked", () => {
  it("is told to wait for as long as it takes, and then where it belongs", async () => {
    const { desk, lastQuestion } = openWithWebhook();
    const accepted = await ask(desk);
    expect(accepted).toMatchObject({ status: 202, body: { status: "assigning" }, retryAfterSeconds: 3 });
    const { operationId } = accepted.body;
    for (let n = 0; n < 3; n++) {
      expect(await poll(desk, operationId)).toMatchObject({
        status: 202,
        body: { operationId, status: "assigning", registrationState: { registrationId: "gw-1" } },
      });
    }
    lastQuestion().answer({ iotHubHostName: "TWO.example" });
    expect(await settled(desk, operationId)).toMatchObject({
      status: 200,
      body: { status: "assigned", registrationState: { assignedHub: "two.example", deviceId: "gw-1" } },
    });
    expect(desk.log.events.map(({ event }) => event)).toContain("device.registered");
  });

  it("waits even where registrations are answered at once, and not without a pause", async () => {
    const webhook: Webhook = async () => ({ status: 200, text: '{"iotHubHostName":"one.example"}' });
    const desk = openDesk({ webhook, retryAfterSeconds: 0 });
    putHub(desk.store, "one.example", {});
    desk.enroll("gw-1", { ...symmetric, ...custom });
    const accepted = await ask(desk);
    expect(accepted).toMatchObject({ status: 202, retryAfterSeconds: 1 });
    expect((await settled(desk, accepted.body.operationId)).body.status).toBe("assigned");
  });

  it("holds nobody else up", async () => {
    const { desk } = openWithWebhook();
    desk.enroll("gw-2", symmetric);
    const waiting = await ask(desk);
    const other = await ask(desk, { registrationId: "gw-2", authorization: desk.token("gw-2", key) });
    const done = await desk.ask({
      ...{ registrationId: "gw-2", authorization: desk.token("gw-2", key) },
      ...{ operation: "operation", operationId: other.body.operationId },
    });
    expect(done.body.status).toBe("assigned");
    expect((await poll(desk, waiting.body.operationId)).body.status).toBe("assigning");
  });

  it("is not registered when its enrollment goes away meanwhile", async () => {
    const { desk, lastQuestion } = openWithWebhook();
    const { operationId } = (await ask(desk)).body;
    desk.store.enrollments.delete("gw-1");
    lastQuestion().answer({ iotHubHostName: "two.example" });
    for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve));
    expect((await poll(desk, operationId)).status).toBe(404);
    expect(desk.store.registrations.get("gw-1")).toBeUndefined();
  });

  it("is not forgotten when the service stops meanwhile: its next poll asks again, with all that it had sent", async () => {
    const { desk, questions } = openWithWebhook();
    const { operationId } = (await ask(desk, { body: { payload: { model: "x" } } })).body;
    await desk.api.close();
    expect(questions).toHaveLength(1);

    const asked: unknown[] = [];
    const webhook: Webhook = async (_url, body) => {
      asked.push(body);
      return { status: 200, text: '{"iotHubHostName":"two.example"}' };
    };
    const reopened = openDesk({ store: desk.store, webhook });
    expect((await settled(reopened, operationId)).body).toMatchObject({
      operationId,
      registrationState: { assignedHub: "two.example" },
    });
    expect(asked).toEqual([questions[0]?.body]);
  });

  it("is asked about again when its enrollment changed meanwhile, and goes where that says now", async () => {
    const { desk, questions, lastQuestion } = openWithWebhook();
    const { operationId } = (await ask(desk)).body;
    desk.enroll("gw-1", { ...symmetric, ...custom, iotHubs: ["three.example"] });
    lastQuestion().answer({ iotHubHostName: "two.example" });
    for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve));
    expect((await poll(desk, operationId)).status).toBe(202);
    expect(questions.map(({ body }) => body.linkedHubs.length)).toEqual([3, 1]);

    desk.enroll("gw-1", { ...symmetric, iotHubHostName: "one.example" });
    lastQuestion().answer({ iotHubHostName: "three.example" });
    expect((await settled(desk, operationId)).body.registrationState).toMatchObject({
      assignedHub: "one.example",
    });
    expect(questions).toHaveLength(2);
  });

  it("is throttled when a thousand are waiting already, and others are not", async () => {
    const { desk, lastQuestion } = openWithWebhook();
    desk.enroll("gw-2", symmetric);
    for (let n = 0; n < 1000; n++) expect((await ask(desk)).status).toBe(202);
    expect(await ask(desk)).toMatchObject({ status: 429, retryAfterSeconds: 10 });
    const other = await ask(desk, { registrationId: "gw-2", authorization: desk.token("gw-2", key) });
    expect(other.status).toBe(202);
    lastQuestion().answer({ iotHubHostName: "two.example" });
    for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve));
    expect((await ask(desk)).status).toBe(202);
  });

  it("asks once, however often it polls", async () => {
    const { desk, questions } = openWithWebhook();
    const { operationId } = (await ask(desk)).body;
    for (let n = 0; n < 5; n++) await poll(desk, operationId);
    expect(questions).toHaveLength(1);
  });
});

describe("the question to a webhook", () => {
  let workshop: Workshop;
  let certificate: Issued;
  beforeAll(() => {
    workshop = certificateWorkshop();
    certificate = workshop.issue("/CN=gw-1");
  });
  afterAll(() => workshop[Symbol.dispose]());

  it("is what Azure's documents say for a device that is new", async () => {
    const { desk, lastQuestion } = openWithWebhook({ iotHubs: ["two.example", "three.example"] });
    await ask(desk, { body: { payload: { model: "x" } } });
    const { url, body } = lastQuestion();
    expect(url).toBe("https://webhook.example/?code=secret");
    const { attestation: _, ...enrollment } = desk.store.enrollments.get("gw-1") ?? expect.fail();
    expect(body).toEqual({
      individualEnrollment: { ...enrollment, attestation: { type: "symmetricKey" } },
      deviceRuntimeContext: { registrationId: "gw-1", symmetricKey: {}, payload: { model: "x" } },
      linkedHubs: ["two.example", "three.example"],
    });
    expect(JSON.stringify(body)).not.toContain(key);
  });

  it("names every linked hub when the enrollment names none, and the group when there is one", async () => {
    const { desk, lastQuestion } = openWithWebhook();
    desk.store.enrollments.delete("gw-1");
    desk.enrollGroup("plant", { ...symmetric, ...custom });
    const { createHmac } = await import("node:crypto");
    const deviceKey = createHmac("sha256", Buffer.from(key, "base64")).update("gw-9").digest();
    await desk.ask({ registrationId: "gw-9", authorization: desk.token("gw-9", deviceKey) });
    expect(lastQuestion().body).toMatchObject({
      enrollmentGroup: { enrollmentGroupId: "plant", allocationPolicy: "custom" },
      linkedHubs: ["one.example", "three.example", "two.example"],
    });
    expect(lastQuestion().body).not.toHaveProperty("individualEnrollment");
  });

  it("shows and describes the certificate of a device that has one", async () => {
    const { desk, lastQuestion } = openWithWebhook();
    desk.store.enrollments.delete("gw-1");
    const clientCertificates = { primary: { certificate: certificate.pem } };
    desk.enroll("gw-1", { attestation: { type: "x509", x509: { clientCertificates } }, ...custom });
    await desk.ask({ registrationId: "gw-1", certificates: [certificate.der] });
    expect(lastQuestion().body.deviceRuntimeContext.x509).toMatchObject({
      clientCertificate: certificate.der.toString("base64"),
      certificateInfo: { subjectName: "CN=gw-1", sha256Thumbprint: expect.stringMatching(/^[0-9A-F]{64}$/) },
    });
  });

  it("has the keys of a TPM, which it may have sent in an earlier request", async () => {
    const { desk, lastQuestion } = openWithWebhook();
    desk.store.enrollments.delete("gw-1");
    const tpm = softTpm();
    const { endorsementKey, storageRootKey } = tpm;
    desk.enroll("gw-1", { attestation: { type: "tpm", tpm: { endorsementKey } }, ...custom });
    const challenge = await desk.ask({
      registrationId: "gw-1",
      body: { tpm: { endorsementKey, storageRootKey } },
    });
    const registrationKey = tpm.activate(challenge.body.authenticationKey);
    await desk.ask({ registrationId: "gw-1", authorization: desk.token("gw-1", registrationKey) });
    expect(lastQuestion().body.deviceRuntimeContext.tpm).toEqual({ endorsementKey, storageRootKey });
  });

  it("says where the device is when it was registered before", async () => {
    const webhook = openWithWebhook();
    await registerWith(webhook, { iotHubHostName: "two.example" });
    await ask(webhook.desk);
    expect(webhook.lastQuestion().body).toMatchObject({
      deviceRuntimeContext: { currentIotHubHostName: "two.example", currentDeviceId: "gw-1" },
      linkedHubs: ["one.example", "three.example", "two.example"],
    });
  });

  it("leaves only the present hub to a device that is never moved", async () => {
    const webhook = openWithWebhook({
      reprovisionPolicy: { updateHubAssignment: false, migrateDeviceData: false },
    });
    await registerWith(webhook, { iotHubHostName: "two.example" });
    await ask(webhook.desk);
    expect(webhook.lastQuestion().body.linkedHubs).toEqual(["two.example"]);
  });
});

describe("the answer of a webhook", () => {
  const theirs = { tags: { from: "webhook" }, properties: { desired: { a: 1 } } };
  const ours = { tags: { from: "enrollment" } };
  const twinAt = (desk: Desk, hub: string) => desk.store.devices.get(hub, "gw-1")?.twin;

  it("gives the device its hub, its twin and a message", async () => {
    const webhook = openWithWebhook({ initialTwin: ours });
    const { body } = await registerWith(webhook, {
      ...{ iothubhostname: "two.example", initialTwin: theirs, payload: { welcome: true } },
    });
    expect(body.registrationState).toMatchObject({
      substatus: "initialAssignment",
      payload: { welcome: true },
    });
    expect(twinAt(webhook.desk, "two.example")).toEqual(theirs);
  });

  it("leaves the enrollment's twin when it has none", async () => {
    const webhook = openWithWebhook({ initialTwin: ours });
    const { body } = await registerWith(webhook, { iotHubHostName: "two.example", initialTwin: null });
    expect(twinAt(webhook.desk, "two.example")).toEqual(ours);
    expect(body.registrationState).not.toHaveProperty("payload");
  });

  it.each([
    ["is used when the device is reset at another hub", false, "one.example", theirs, "deviceDataReset"],
    ["is not used when the device is reset where it is", false, "two.example", ours, "deviceDataReset"],
    ["is not used when the device moves with its data", true, "one.example", ours, "deviceDataMigrated"],
    ["is not used when the device stays", true, "two.example", ours, "initialAssignment"],
  ])("with a twin %s", async (_, migrateDeviceData, hub, twin, substatus) => {
    const webhook = openWithWebhook({
      ...{ initialTwin: ours, reprovisionPolicy: { updateHubAssignment: true, migrateDeviceData } },
    });
    await registerWith(webhook, { iotHubHostName: "two.example" });
    const { body } = await registerWith(webhook, { iotHubHostName: hub, initialTwin: theirs });
    expect(body.registrationState).toMatchObject({ assignedHub: hub, substatus });
    expect(twinAt(webhook.desk, hub)).toEqual(twin);
  });

  it.each<[string, unknown, number, string]>([
    ["another status", { iotHubHostName: "two.example" }, 400, "with status code: 400"],
    ["a status that is no content", "", 204, "with status code: 204"],
    ["a redirection", "", 302, "with status code: 302"],
    ["a hub that it was not offered", { iotHubHostName: "four.example" }, 200, "none of linkedHubs"],
    ["no hub", {}, 200, "iothubhostname"],
    ["a twin that is none", { iotHubHostName: "two.example", initialTwin: { tags: 5 } }, 200, "tags"],
    ["text that is no JSON", "<html>", 200, "root"],
    ["an array", [], 200, "root"],
    ["deeper than anybody means it", `{"payload":${"[".repeat(40_000)}${"]".repeat(40_000)}}`, 200, "root"],
    ["nothing", "", 200, "root"],
  ])("fails the registration with 400207 when it is %s", async (_, answer, status, says) => {
    const webhook = openWithWebhook();
    const final = await registerWith(webhook, answer, { status });
    expect(final).toMatchObject({ status: 200, body: { status: "failed" } });
    expect(final.body.registrationState).toMatchObject({
      errorCode: 400207,
      errorMessage: expect.stringMatching(/^Custom allocation failed/),
    });
    expect(final.body.registrationState["errorMessage"]).toContain(says);
    expect(webhook.desk.store.devices.get("two.example", "gw-1")).toBeUndefined();
  });

  it.each([
    ["does not come in time", new MooringError("ERR_DEADLINE", "over"), "in time"],
    ["does not come at all", new MooringError("ERR_CONNECT", "refused"), "cannot be reached"],
  ])(
    "fails the registration when it %s, and the secret of its address is not told",
    async (_, error, says) => {
      const { desk, lastQuestion } = openWithWebhook();
      const { operationId } = (await ask(desk)).body;
      lastQuestion().fail(error);
      const { body } = await settled(desk, operationId);
      expect(body.registrationState).toMatchObject({ errorCode: 400207 });
      expect(body.registrationState["errorMessage"]).toContain(says);
      const logged = desk.log.events.find(({ event }) => event === "webhook.failed");
      expect(logged).toBeDefined();
      expect(JSON.stringify(desk.log.events)).not.toContain("secret");
    },
  );
});
