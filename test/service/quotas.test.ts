import { describe, expect, it } from "vitest";
import { openStore } from "../../src/service/store.ts";
import { openPortalCounter } from "./browser.ts";
import { openCounter } from "./counter.ts";
import { type Desk, temporaryFile } from "./desk.ts";

const key = Buffer.from("a symmetric key of the enrollment").toString("base64");
const symmetric = {
  attestation: { type: "symmetricKey", symmetricKey: { primaryKey: key, secondaryKey: key } },
};
const never = new AbortController().signal;
const none = { registrationsPerMinute: null, serviceCallsPerMinute: null };

const register = ({ ask, token }: Desk, more: object = {}) =>
  ask({ registrationId: "gw-1", authorization: token("gw-1", key), ...more });

describe("quotas", () => {
  it("are off in a new service, and stay as they were set", async () => {
    const { call } = await openCounter();
    expect((await call("GET", "/mooring/quotas")).body).toEqual(none);
    const limits = { registrationsPerMinute: 1000, serviceCallsPerMinute: 5 };
    expect(await call("PUT", "/mooring/quotas", limits)).toMatchObject({ status: 200, body: limits });
    expect((await call("GET", "/mooring/quotas")).body).toEqual(limits);
  });

  it("survive a restart", () => {
    const file = temporaryFile("service.db");
    const first = openStore(file);
    first.setQuotas({ registrationsPerMinute: 7, serviceCallsPerMinute: null });
    first.close();
    const second = openStore(file);
    expect(second.quotas).toEqual({ registrationsPerMinute: 7, serviceCallsPerMinute: null });
    second.close();
  });

  it.each([
    ["registrationsPerMinute", { ...none, registrationsPerMinute: 0 }],
    ["registrationsPerMinute", { ...none, registrationsPerMinute: 1.5 }],
    ["serviceCallsPerMinute", { ...none, serviceCallsPerMinute: "many" }],
    ["serviceCallsPerMinute", { registrationsPerMinute: 5 }],
  ])("are refused for their %s: %j", async (named, quotas) => {
    const { call } = await openCounter();
    const answer = await call("PUT", "/mooring/quotas", quotas);
    expect(answer).toMatchObject({ status: 400, body: { message: expect.stringContaining(named) } });
    expect((await call("GET", "/mooring/quotas")).body).toEqual(none);
  });
});

describe("a quota of registrations", () => {
  it("lets so many in a minute, tells the others when to come again, and lets them in then", async () => {
    const counter = await openCounter();
    const { store, enroll, clock } = counter;
    enroll("gw-1", symmetric);
    store.setQuotas({ ...none, registrationsPerMinute: 2 });
    expect((await register(counter)).status).toBe(202);
    await clock.sleep(20_500, { signal: never });
    expect((await register(counter)).status).toBe(202);
    const refused = await register(counter);
    expect(refused).toMatchObject({
      ...{ status: 429, retryAfterSeconds: 40 },
      body: { errorCode: 429001, message: expect.any(String), trackingId: refused.requestId },
    });
    await clock.sleep(40_000, { signal: never });
    expect((await register(counter)).status).toBe(202);
  });

  it("is the same for all transports, and used up by no poll, no lookup and no stranger's id scope", async () => {
    const counter = await openCounter();
    const { store, enroll } = counter;
    enroll("gw-1", symmetric);
    store.setQuotas({ ...none, registrationsPerMinute: 2 });
    expect((await register(counter, { idScope: "0ne00FFFFFF" })).status).toBe(404);
    const { operationId } = (await register(counter)).body;
    for (let n = 0; n < 5; n++) {
      expect((await register(counter, { operation: "operation", operationId })).status).toBe(200);
      expect((await register(counter, { operation: "lookup" })).status).toBe(200);
    }
    expect((await register(counter, { transport: "mqtt" })).status).toBe(202);
    expect((await register(counter, { transport: "mqtt" })).status).toBe(429);
    expect((await register(counter, { operation: "operation", operationId })).status).toBe(200);
  });

  it("can be lifted at once", async () => {
    const counter = await openCounter();
    const { store, enroll } = counter;
    enroll("gw-1", symmetric);
    store.setQuotas({ ...none, registrationsPerMinute: 1 });
    await register(counter);
    expect((await register(counter)).status).toBe(429);
    store.setQuotas(none);
    expect((await register(counter)).status).toBe(202);
  });
});

describe("a quota of service calls", () => {
  it("throttles the service API, and never the means to change it", async () => {
    const { call, clock } = await openCounter();
    await call("PUT", "/mooring/quotas", { ...none, serviceCallsPerMinute: 2 });
    const list = () => call("POST", "/enrollments/query", { query: "*" });
    expect((await list()).status).toBe(200);
    expect((await call("GET", "/enrollments/nobody")).status).toBe(404);
    const refused = await list();
    expect(refused).toMatchObject({ status: 429, body: { errorCode: 429001 } });
    expect(Number(refused.headers["retry-after"])).toBe(60);
    expect((await call("GET", "/mooring/hubs")).status).toBe(200);
    await clock.sleep(60_000, { signal: never });
    expect((await list()).status).toBe(200);
    expect((await list()).status).toBe(200);
    expect((await list()).status).toBe(429);
    expect((await call("PUT", "/mooring/quotas", none)).status).toBe(200);
    expect((await list()).status).toBe(200);
  });

  it("is not used up by the portal, which looks again whenever something happens", async () => {
    const { browser, store } = await openPortalCounter();
    const one = browser();
    await one.signIn();
    store.setQuotas({ ...none, serviceCallsPerMinute: 1 });
    for (let n = 0; n < 3; n++) {
      expect((await one.ask("GET", "/enrollments/x?api-version=2021-10-01")).status).toBe(404);
    }
  });

  it("is not used up by those who are not let in anyway", async () => {
    const { call, store } = await openCounter();
    store.setQuotas({ ...none, serviceCallsPerMinute: 1 });
    for (let n = 0; n < 3; n++) {
      expect((await call("GET", "/enrollments/x", undefined, { authorization: "" })).status).toBe(401);
    }
    expect((await call("GET", "/enrollments/x")).status).toBe(404);
  });
});
