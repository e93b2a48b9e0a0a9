// Stores that earlier versions left behind, as SQL that was dumped from them.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { describe, expect, it, onTestFinished } from "vitest";
import { viewHubs } from "../../src/service/hubs.ts";
import { openStore, type Store } from "../../src/service/store.ts";
import { temporaryFile } from "./desk.ts";

function openLayout(layout: number): { store: Store; before: DatabaseSync } {
  const file = temporaryFile("service.db");
  const sql = readFileSync(join(import.meta.dirname, `../fixtures/store-layout-${layout}.sql`), "utf8");
  for (const path of [file, `${file}.before`]) {
    using db = new DatabaseSync(path);
    db.exec(sql);
  }
  const before = new DatabaseSync(`${file}.before`);
  const store = openStore(file);
  onTestFinished(() => {
    before.close();
    store.close();
  });
  return { store, before };
}

const documentsIn = (db: DatabaseSync, table: string): unknown[] =>
  db
    .prepare(`SELECT document FROM ${table}`)
    .all()
    .map((row) => JSON.parse(String(row["document"])));

describe("a store of the first layout", () => {
  it("opens with every record as it was", () => {
    const { store, before } = openLayout(1);
    expect(store.idScope).toBe("0ne001D9C4C");
    expect([store.enrollments.get("gw-1")]).toEqual(documentsIn(before, "enrollment"));
    expect(store.enrollmentGroups.all()).toEqual(documentsIn(before, "enrollment_group"));
    expect([store.registrations.get("gw-1"), store.registrations.get("gw-2")]).toEqual(
      documentsIn(before, "registration"),
    );
    expect(store.registrations.pageOfGroup("plant", { limit: 9 })).toHaveLength(1);
    expect([store.devices.get("one.example", "Gw-1")]).toEqual(documentsIn(before, "device"));
    expect([store.operations.get("5.0.1")]).toEqual(documentsIn(before, "operation"));
  });

  it("finds its records by a part of their ids", () => {
    const { store } = openLayout(1);
    expect(store.enrollments.search({ text: "W-1", limit: 9 })).toEqual([store.enrollments.get("gw-1")]);
    const assigned = { text: "gw-", status: "assigned", limit: 9 };
    expect(store.registrations.search(assigned).length).toBeGreaterThan(0);
    expect([store.enrollments.count(), store.registrations.count()]).toEqual([1, 2]);
  });

  it("finds and counts what it had, and limits nothing", () => {
    const { store } = openLayout(1);
    expect([store.enrollments.count(), store.registrations.count()]).toEqual([1, 2]);
    expect(store.registrations.search({ text: "w-2", status: "failed", limit: 9 })).toHaveLength(1);
    expect(store.enrollments.search({ text: "gW", limit: 9 })).toHaveLength(1);
    expect(store.quotas).toEqual({ registrationsPerMinute: null, serviceCallsPerMinute: null });
  });

  it("keeps its hubs, which become records", () => {
    const { store } = openLayout(1);
    expect(viewHubs(store)).toEqual([
      { hostName: "One.example", allocationWeight: 1, devices: 1 },
      { hostName: "two.example", allocationWeight: 1, devices: 0 },
    ]);
  });

  it("keeps its keys as primary keys, and gets secondary ones", () => {
    const { store, before } = openLayout(1);
    const policies = documentsIn(before, "policy") as { name: string; key: string; permissions: string[] }[];
    expect(store.policies.all()).toEqual(
      policies.map(({ key, ...policy }) => ({
        ...policy,
        primaryKey: key,
        secondaryKey: expect.stringMatching(/^[A-Za-z0-9+/]{86}==$/),
      })),
    );
    expect(new Set(store.policies.all().map(({ secondaryKey }) => secondaryKey)).size).toBe(policies.length);
  });
});
