import { describe, expect, it } from "vitest";
import { openStore } from "../../src/service/store.ts";
import { temporaryFile, temporaryStore } from "./desk.ts";

const operation = { operationId: "5.a.b", registrationId: "gw-1", readyAt: 10 };

describe("an operation that is held back", () => {
  it("stays so when its result comes later, as from a webhook", () => {
    const { operations, scenarios } = temporaryStore();
    operations.put({ ...operation, asked: { apiVersion: "2021-06-01" } });
    scenarios.hold("5.a.b", "service", 2);
    operations.put({ ...operation, result: { operationId: "5.a.b", status: "assigned" } });
    expect([1, 2, 3].map(() => scenarios.pollHeld("5.a.b"))).toEqual(["service", "service", undefined]);
  });

  it("is let go by whoever clears or replaces the scenario that holds it, and by nobody else", () => {
    const { operations, scenarios } = temporaryStore();
    operations.put(operation);
    const target = "enrollments/GW-1";
    for (const letGo of [
      () => scenarios.delete(target),
      () => scenarios.put({ target, scenario: { kind: "disconnect" } }),
    ]) {
      scenarios.hold("5.a.b", target, Number.POSITIVE_INFINITY);
      scenarios.delete("service");
      expect(scenarios.pollHeld("5.a.b")).toBe("enrollments/gw-1");
      letGo();
      expect(scenarios.pollHeld("5.a.b")).toBeUndefined();
    }
  });

  it("stays so after the last use of the scenario, and after a restart", () => {
    const file = temporaryFile("service.db");
    const before = openStore(file);
    before.operations.put(operation);
    const targeted = { target: "service", scenario: { kind: "assigning-forever", times: 1 } } as const;
    before.scenarios.put(targeted);
    before.scenarios.hold("5.a.b", "service", Number.POSITIVE_INFINITY);
    expect(before.scenarios.use(targeted)).toBe(0);
    expect(before.scenarios.all()).toEqual([]);
    before.close();
    const after = openStore(file);
    expect(after.scenarios.pollHeld("5.a.b")).toBe("service");
    after.close();
  });

  it("is forgotten with the operation", () => {
    const { operations, scenarios } = temporaryStore();
    operations.put(operation);
    scenarios.hold("5.a.b", "service", 5);
    operations.prune(11);
    operations.put(operation);
    expect(scenarios.pollHeld("5.a.b")).toBeUndefined();
  });
});

it("a scenario that was set in a transaction that failed is not on", () => {
  const store = temporaryStore();
  expect(() =>
    store.transaction(() => {
      store.scenarios.put({ target: "service", scenario: { kind: "duplicate" } });
      expect(store.scenarios.all()).toHaveLength(1);
      throw new RangeError("disk full");
    }),
  ).toThrow("disk full");
  expect(store.scenarios.all()).toEqual([]);
});
