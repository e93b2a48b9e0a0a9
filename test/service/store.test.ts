import { chmodSync, mkdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { describe, expect, it } from "vitest";
import { linkHubs } from "../../src/service/hubs.ts";
import type { EnrollmentGroup, Registration } from "../../src/service/records.ts";
import { openStore } from "../../src/service/store.ts";
import { source } from "../support/children.ts";
import { changesIn } from "../support/system-calls.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";
import { thrownBy } from "../support/thrown.ts";
import { openDesk, temporaryFile, temporaryStore } from "./desk.ts";

const symmetric = { attestation: { type: "symmetricKey" } };

const registration = (registrationId: string, enrollmentGroupId: string): Registration => ({
  registrationId,
  enrollmentGroupId,
  attestation: "x509",
  createdDateTimeUtc: "",
  lastUpdatedDateTimeUtc: "2026-01-01T00:00:00.0000000Z",
  status: "assigned",
  etag: "",
});

describe("the store", () => {
  it("makes its id scope and keys once, in the forms that Azure's have", () => {
    const file = temporaryFile("service.db");
    const first = openStore(file);
    expect(first.idScope).toMatch(/^0ne00[0-9A-F]{6}$/);
    const [owner] = first.policies.all();
    expect(owner).toMatchObject({ name: "provisioningserviceowner", permissions: { length: 5 } });
    expect(Buffer.from(owner?.primaryKey ?? "", "base64")).toHaveLength(64);
    const policies = first.policies.all();
    first.close();
    const second = openStore(file);
    expect(second.idScope).toBe(first.idScope);
    expect(second.policies.all()).toEqual(policies);
    second.close();
    expect(temporaryStore().idScope).not.toBe(first.idScope);
  });

  it("survives a restart with everything in it", async () => {
    const file = temporaryFile("service.db");
    const before = openStore(file);
    linkHubs(before, ["one.example", "two.example"]);
    const desk = openDesk({ store: before });
    const row = desk.enroll("gw-1", symmetric);
    desk.enrollGroup("plant", symmetric);
    const { primaryKey } =
      row.attestation.type === "symmetricKey" ? row.attestation.symmetricKey : expect.fail();
    await desk.ask({ registrationId: "gw-1", authorization: desk.token("gw-1", primaryKey) });
    const registered = before.registrations.get("gw-1") ?? expect.fail();
    before.close();

    const after = openStore(file);
    expect(after.hubs.all().map(({ hostName }) => hostName)).toEqual(["one.example", "two.example"]);
    expect(after.enrollments.get("gw-1")).toEqual(row);
    expect(after.enrollmentGroups.all()).toHaveLength(1);
    expect(after.registrations.get("gw-1")).toEqual(registered);
    expect(after.devices.get(registered.assignedHub ?? "", "gw-1")).toMatchObject({ registrationId: "gw-1" });
    after.close();
  });

  it("is readable by its owner alone, whatever the umask and whatever the file was", () => {
    const file = temporaryFile("service.db");
    const before = process.umask(0);
    const store = openStore(file);
    process.umask(before);
    linkHubs(store, ["one.example"]);
    for (const each of [file, `${file}-wal`, `${file}-shm`]) expect(statSync(each).mode & 0o777).toBe(0o600);
    store.close();
    chmodSync(file, 0o644);
    openStore(file).close();
    expect(statSync(file).mode & 0o777).toBe(0o600);
  });

  it("finds ids in any case, and gives them back as they were written", () => {
    const desk = openDesk();
    desk.enroll("Gw-1", symmetric);
    expect(desk.store.enrollments.get("gW-1")?.registrationId).toBe("Gw-1");
    expect(desk.store.enrollments.delete("GW-1")).toBe(true);
    expect(desk.store.enrollments.delete("GW-1")).toBe(false);
    expect(desk.store.enrollments.get("Gw-1")).toBeUndefined();
  });

  it("tells devices apart by case, as a hub does", () => {
    const { devices } = temporaryStore();
    const device = {
      registrationId: "x",
      authentication: { type: "certificateAuthority" },
      capabilities: { iotEdge: false },
      twin: {},
    } as const;
    devices.put({ ...device, hub: "One.example", deviceId: "Gw" });
    expect(devices.get("one.EXAMPLE", "Gw")?.hub).toBe("One.example");
    expect(devices.get("one.example", "gw")).toBeUndefined();
  });

  it("pages through a group's registrations in order of id", () => {
    const { registrations } = temporaryStore();
    for (const id of ["C", "a", "B"]) registrations.put(registration(id, "Plant"));
    registrations.put(registration("d", "other"));
    const ids = (rows: Registration[]) => rows.map(({ registrationId }) => registrationId);
    expect(ids(registrations.pageOfGroup("plant", { limit: 2 }))).toEqual(["a", "B"]);
    expect(ids(registrations.pageOfGroup("plant", { limit: 2, after: "B" }))).toEqual(["C"]);
  });

  it("does all of a transaction or nothing of it", () => {
    const desk = openDesk();
    const group = desk.enrollGroup("plant", symmetric);
    const changed: EnrollmentGroup = { ...group, provisioningStatus: "disabled" };
    const failing = () =>
      desk.store.transaction(() => {
        desk.store.enrollmentGroups.put(changed);
        expect(desk.store.enrollmentGroups.all()[0]?.provisioningStatus).toBe("disabled");
        throw new RangeError("stop");
      });
    expect(failing).toThrow(RangeError);
    expect(desk.store.enrollmentGroups.all()[0]?.provisioningStatus).toBe("enabled");
    desk.store.transaction(() => desk.store.enrollmentGroups.put(changed));
    expect(desk.store.enrollmentGroups.all()[0]?.provisioningStatus).toBe("disabled");
  });

  it("keeps an operation held when its result comes", () => {
    const { operations, scenarios } = temporaryStore();
    operations.put({
      operationId: "x",
      registrationId: "gw-1",
      readyAt: 1,
      asked: { apiVersion: "2021-06-01" },
    });
    scenarios.hold("x", "service", 5);
    operations.put({ operationId: "x", registrationId: "gw-1", readyAt: 2, result: {} });
    expect(scenarios.pollHeld("x")).toBe("service");
  });

  it("forgets operations when their time is over", () => {
    const { operations } = temporaryStore();
    operations.put({ operationId: "old", registrationId: "x", readyAt: 1000, result: {} });
    operations.put({ operationId: "new", registrationId: "x", readyAt: 2000, result: {} });
    operations.prune(2000);
    expect(operations.get("old")).toBeUndefined();
    expect(operations.get("new")).toBeDefined();
  });
});

describe("a transaction", () => {
  it("is on disk when it is over, unless it is a quick one", async () => {
    const syncsOf = async (work: string): Promise<number> => {
      const directory = temporaryDirectory();
      const program = `
        import { openStore } from ${source("service/store.ts")};
        const store = openStore(${JSON.stringify(join(directory, "service.db"))});
        const operation = { operationId: "x", registrationId: "x", readyAt: 0 };
        for (let n = 0; n < 20; n++) { ${work} }
        process.exit(0);`;
      const changes = await changesIn(directory, program);
      return changes.filter((change) => change === "fsync D/service.db-wal").length;
    };
    const open = await syncsOf("");
    expect(await syncsOf("store.transaction(() => store.operations.put(operation));")).toBe(open + 20);
    expect(await syncsOf("store.quickTransaction(() => store.operations.put(operation));")).toBe(open);
    expect(
      await syncsOf(
        "store.quickTransaction(() => {}); store.transaction(() => store.operations.put(operation));",
      ),
    ).toBe(open + 20);
  });
});

describe("the numbers of records", () => {
  it("are those of the rows, whatever became of them", () => {
    const { enrollments, registrations, transaction } = temporaryStore();
    const rows = ["a", "b", "c"].map((id) => registration(id, "plant"));
    for (const row of rows) registrations.put(row);
    for (const row of rows) registrations.put(row);
    registrations.delete("B");
    registrations.delete("B");
    expect(() =>
      transaction(() => {
        registrations.put(registration("d", "plant"));
        throw new RangeError("stop");
      }),
    ).toThrow(RangeError);
    expect([registrations.count(), enrollments.count()]).toEqual([2, 0]);
  });
});

describe("a store that is full", () => {
  it("takes no new device and no new enrollment, and lets what is there change", async () => {
    const file = temporaryFile("service.db");
    const store = openStore(file);
    const desk = openDesk({ store });
    const key = Buffer.from("a symmetric key of the enrollment").toString("base64");
    const attestation = { type: "symmetricKey", symmetricKey: { primaryKey: key, secondaryKey: key } };
    for (const id of ["gw-1", "gw-2"]) desk.enroll(id, { attestation });
    const register = async (id: string) =>
      (await desk.ask({ registrationId: id, authorization: desk.token(id, key) })).status;
    expect(await register("gw-1")).toBe(202);
    using other = new DatabaseSync(file);
    other.exec("UPDATE amount SET records = 1000000");

    expect(() => desk.enroll("gw-3", { attestation })).toThrow("1000000 individual enrollments");
    expect(() => desk.enroll("gw-1", { attestation, deviceId: "x" })).not.toThrow();
    expect(await register("gw-2")).toBe(409);
    expect(await register("gw-1")).toBe(202);
    store.enrollments.delete("gw-2");
    expect(() => desk.enroll("gw-3", { attestation })).not.toThrow();
    store.close();
  });
});

describe("a file that cannot be the store", () => {
  it.each<[string, (file: string) => void]>([
    ["is a directory", (file) => mkdirSync(file)],
    [
      "is no database",
      (file) => writeFileSync(file, "certainly not SQLite, but long enough to look at".repeat(40)),
    ],
    [
      "is from a later version",
      (file) => {
        const db = new DatabaseSync(file);
        db.exec("PRAGMA user_version = 99");
        db.close();
      },
    ],
  ])("stops the start when it %s, and is named", async (_, make) => {
    const file = temporaryFile("service.db");
    make(file);
    const error = await thrownBy(() => openStore(file));
    expect(error.code).toBe("ERR_SERVICE_START");
    expect(error.message).toContain("store");
  });
});
