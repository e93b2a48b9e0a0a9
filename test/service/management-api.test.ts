import { describe, expect, it } from "vitest";
import type { Permission } from "../../src/service/records.ts";
import { type Call, host, openCounter } from "./counter.ts";
import { sasToken } from "./desk.ts";

const symmetric = { attestation: { type: "symmetricKey" } };
const unversioned = { version: undefined };

describe("linked hubs", () => {
  it("begin with a placeholder, which leaves when a real one is linked", async () => {
    const { call } = await openCounter();
    expect((await call("GET", "/mooring/hubs", undefined, unversioned)).body).toEqual([
      { hostName: "hub.mooring.internal", allocationWeight: 1, devices: 0 },
    ]);
    const linked = await call("PUT", "/mooring/hubs/One.example", { allocationWeight: 5, latencyMs: 12.5 });
    expect(linked).toMatchObject({ status: 200, body: { hostName: "One.example", allocationWeight: 5 } });
    expect((await call("GET", "/mooring/hubs")).body).toEqual([
      { hostName: "One.example", allocationWeight: 5, latencyMs: 12.5, devices: 0 },
    ]);
  });

  it("keep the placeholder once somebody asked for it by name", async () => {
    const { call } = await openCounter();
    await call("PUT", "/mooring/hubs/hub.mooring.internal", {});
    await call("PUT", "/mooring/hubs/one.example", {});
    expect((await call("GET", "/mooring/hubs")).body).toHaveLength(2);
  });

  it("keep what a change does not mention, and lose a latency that is null", async () => {
    const { call } = await openCounter();
    await call("PUT", "/mooring/hubs/one.example", { allocationWeight: 5, latencyMs: 12 });
    expect((await call("PUT", "/mooring/hubs/ONE.example", { latencyMs: 20 })).body).toEqual({
      ...{ hostName: "one.example", allocationWeight: 5, latencyMs: 20, devices: 0 },
    });
    expect((await call("PUT", "/mooring/hubs/one.example", { latencyMs: null })).body).not.toHaveProperty(
      "latencyMs",
    );
  });

  it.each<[string, string, unknown]>([
    ["allocationWeight", "one.example", { allocationWeight: 0 }],
    ["allocationWeight", "one.example", { allocationWeight: 1001 }],
    ["allocationWeight", "one.example", { allocationWeight: 1.5 }],
    ["latencyMs", "one.example", { latencyMs: -1 }],
    ["latencyMs", "one.example", { latencyMs: "near" }],
    ["hostName", "not%20a%20host", {}],
    ["body", "one.example", []],
  ])("are refused for their %s: %s %j", async (named, hub, body) => {
    const { call } = await openCounter();
    const answer = await call("PUT", `/mooring/hubs/${hub}`, body);
    expect(answer).toMatchObject({ status: 400, body: { message: expect.stringContaining(named) } });
  });

  it("are at most fifty", async () => {
    const { call } = await openCounter();
    for (let n = 0; n < 50; n++) await call("PUT", `/mooring/hubs/hub-${n}.example`, {});
    expect((await call("PUT", "/mooring/hubs/hub-50.example", {})).status).toBe(409);
    expect((await call("PUT", "/mooring/hubs/hub-49.example", { allocationWeight: 2 })).status).toBe(200);
  });

  it("count their devices", async () => {
    const { call, store } = await openCounter();
    await call("PUT", "/mooring/hubs/one.example", {});
    for (const deviceId of ["a", "b"]) {
      store.devices.put({
        ...{ hub: "One.example", deviceId, registrationId: deviceId, twin: {} },
        authentication: { type: "certificateAuthority" },
        capabilities: { iotEdge: false },
      });
    }
    expect((await call("GET", "/mooring/hubs")).body).toMatchObject([{ devices: 2 }]);
  });

  it("are not unlinked while an enrollment names them, unless that is forced", async () => {
    const { call, enroll, enrollGroup } = await openCounter();
    await call("PUT", "/mooring/hubs/one.example", {});
    await call("PUT", "/mooring/hubs/two.example", {});
    enroll("gw-1", { ...symmetric, iotHubHostName: "ONE.example" });
    enrollGroup("plant", { ...symmetric, iotHubs: ["two.example", "One.example"] });
    const refused = await call("DELETE", "/mooring/hubs/one.example");
    expect(refused).toMatchObject({
      status: 409,
      body: { message: expect.stringContaining("2 enrollments") },
    });
    expect((await call("DELETE", "/mooring/hubs/one.example?force=true")).status).toBe(204);
    expect((await call("DELETE", "/mooring/hubs/one.example?force=true")).status).toBe(404);
  });

  it("are not confused with hubs whose names they are a part of", async () => {
    const { call, enroll } = await openCounter();
    await call("PUT", "/mooring/hubs/one.example", {});
    await call("PUT", "/mooring/hubs/two.example", {});
    enroll("gw-1", {
      ...symmetric,
      iotHubHostName: "one.example.org",
      initialTwin: { tags: { x: "one.example" } },
    });
    expect((await call("DELETE", "/mooring/hubs/one.example")).status).toBe(204);
  });

  it("are never all gone by accident", async () => {
    const { call } = await openCounter();
    expect((await call("DELETE", "/mooring/hubs/hub.mooring.internal")).status).toBe(409);
    expect((await call("DELETE", "/mooring/hubs/hub.mooring.internal?force=true")).status).toBe(204);
    expect((await call("GET", "/mooring/hubs")).body).toEqual([]);
  });
});

describe("policies", () => {
  it("have two keys, and either opens the service", async () => {
    const { call, store } = await openCounter();
    const { body } = await call("GET", "/mooring/policies");
    expect(body).toEqual(store.policies.all());
    expect(body[0].primaryKey).not.toBe(body[0].secondaryKey);
    for (const key of [body[0].primaryKey, body[0].secondaryKey]) {
      const authorization = tokenWith(key);
      expect((await call("GET", "/mooring/hubs", undefined, { authorization })).status).toBe(200);
    }
  });

  it("get a new key without losing the other", async () => {
    const { call, store, log } = await openCounter();
    const before = store.policies.all()[0] ?? expect.fail();
    const rotated = await call("POST", "/mooring/policies/ProvisioningServiceOwner/rotate", {
      key: "primary",
    });
    expect(rotated.status).toBe(200);
    expect(rotated.body.secondaryKey).toBe(before.secondaryKey);
    expect(rotated.body.primaryKey).not.toBe(before.primaryKey);
    const statusWith = async (key: string) =>
      (await call("GET", "/mooring/hubs", undefined, { authorization: tokenWith(key) })).status;
    expect(await statusWith(before.primaryKey)).toBe(401);
    expect(await statusWith(before.secondaryKey)).toBe(200);
    expect(await statusWith(rotated.body.primaryKey)).toBe(200);
    expect(JSON.stringify(log.events)).not.toContain(rotated.body.primaryKey);
  });

  it("that do not exist, and keys that do not, are refused", async () => {
    const { call } = await openCounter();
    expect((await call("POST", "/mooring/policies/nobody/rotate", { key: "primary" })).status).toBe(404);
    expect((await call("POST", "/mooring/policies/enrollmentread/rotate", { key: "third" })).status).toBe(
      400,
    );
    expect((await call("POST", "/mooring/policies/enrollmentread/rotate")).status).toBe(400);
  });
});

describe("the management API", () => {
  it("is open to each policy for what it permits, and no more", async () => {
    const { call, store } = await openCounter();
    const needs: [Permission, Parameters<Call>][] = [
      ["EnrollmentRead", ["GET", "/mooring/hubs"]],
      ["EnrollmentWrite", ["PUT", "/mooring/hubs/one.example", {}]],
      ["EnrollmentWrite", ["DELETE", "/mooring/hubs/two.example"]],
      ["EnrollmentRead", ["GET", "/mooring/quotas"]],
      ["ServiceConfig", ["PUT", "/mooring/quotas", {}]],
    ];
    for (const [permission, [method, path, body]] of needs) {
      for (const { name, permissions } of store.policies.all()) {
        const { status } = await call(method, path, body, { policy: name });
        expect(status === 403, `${name}: ${method} ${path}`).toBe(!permissions.includes(permission));
      }
      expect((await call(method, path, body, { authorization: "" })).status).toBe(401);
    }
  });

  it("tells the keys of all policies to the policy alone that may do everything", async () => {
    const { call, store } = await openCounter();
    const calls: Parameters<Call>[] = [
      ["GET", "/mooring/policies"],
      ["POST", "/mooring/policies/nobody/rotate", { key: "primary" }],
    ];
    for (const [method, path, body] of calls) {
      for (const { name } of store.policies.all()) {
        const { status } = await call(method, path, body, { policy: name });
        expect(status === 403, `${name}: ${method} ${path}`).toBe(name !== "provisioningserviceowner");
      }
    }
  });
});

const tokenWith = (key: string): string =>
  sasToken({ resource: host, key, expiry: "4102444800", keyName: "provisioningserviceowner" });
