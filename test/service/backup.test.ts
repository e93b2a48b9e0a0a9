import { readdirSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, it } from "vitest";
import { backupStore } from "../../src/service/backup.ts";
import { openStore } from "../../src/service/store.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";
import { thrownBy } from "../support/thrown.ts";
import { openDesk } from "./desk.ts";

const symmetric = { attestation: { type: "symmetricKey" } };

/** A data directory whose store is open, with `enrollments` of them in it. */
function busyDataDirectory(enrollments = 1) {
  const dataDirectory = temporaryDirectory();
  const store = openStore(join(dataDirectory, "service.db"));
  const desk = openDesk({ store });
  for (let n = 0; n < enrollments; n++) desk.enroll(`gw-${n}`, symmetric);
  desk.enrollGroup("plant", symmetric);
  return { ...desk, dataDirectory, file: join(temporaryDirectory(), "copy.db") };
}

describe("a backup", () => {
  it("is a store of its own, with all that was acknowledged before, while the service goes on", () => {
    const { dataDirectory, file, store, enroll } = busyDataDirectory(50);
    const made = backupStore(dataDirectory, file);
    enroll("later", symmetric);
    expect(made).toEqual({
      ...{ file, bytes: statSync(file).size, idScope: store.idScope },
      ...{ enrollments: 50, enrollmentGroups: 1, registrations: 0 },
    });
    const copy = openStore(file);
    expect(copy.idScope).toBe(store.idScope);
    expect(copy.policies.all()).toEqual(store.policies.all());
    expect(copy.enrollments.page({ limit: 99 })).toEqual(
      store.enrollments.page({ limit: 99 }).filter(({ registrationId }) => registrationId !== "later"),
    );
    expect(copy.enrollments.count()).toBe(50);
    copy.close();
    store.close();
  });

  it("can be made of a service that does not run, and changes nothing there", () => {
    const { dataDirectory, file, store } = busyDataDirectory();
    store.close();
    const before = readdirSync(dataDirectory);
    expect(backupStore(dataDirectory, file)).toMatchObject({ enrollments: 1 });
    expect(readdirSync(dataDirectory)).toEqual(before);
  });

  it("is readable by its owner alone, whatever the umask", () => {
    const { dataDirectory, file, store } = busyDataDirectory();
    const before = process.umask(0);
    backupStore(dataDirectory, file);
    process.umask(before);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    store.close();
  });

  it("never takes the place of anything", async () => {
    const { dataDirectory, file, store } = busyDataDirectory();
    writeFileSync(file, "precious");
    const error = await thrownBy(() => backupStore(dataDirectory, file));
    expect(error.code).toBe("ERR_BACKUP");
    expect(error.message).toContain("already");
    expect(statSync(file).size).toBe(8);
    expect(readdirSync(dirname(file))).toEqual(["copy.db"]);
    store.close();
  });

  it("of no store is refused, and makes none", async () => {
    const empty = temporaryDirectory();
    const error = await thrownBy(() => backupStore(empty, join(empty, "copy.db")));
    expect(error.code).toBe("ERR_BACKUP");
    expect(error.message).toContain("no store");
    expect(readdirSync(empty)).toEqual([]);
  });

  it.each<[string, (dataDirectory: string) => void]>([
    ["is cut off", (directory) => truncateSync(join(directory, "service.db"), 12_000)],
    ["is no database", (directory) => writeFileSync(join(directory, "service.db"), "x".repeat(9000))],
  ])("of a store that %s leaves nothing behind", async (_, damage) => {
    const { dataDirectory, file, store } = busyDataDirectory(300);
    store.close();
    damage(dataDirectory);
    const error = await thrownBy(() => backupStore(dataDirectory, file));
    expect(error.code).toBe("ERR_BACKUP");
    expect(readdirSync(dirname(file))).toEqual([]);
  });

  it("into a directory that is not there leaves nothing behind", async () => {
    const { dataDirectory, file, store } = busyDataDirectory();
    const error = await thrownBy(() => backupStore(dataDirectory, join(dirname(file), "nowhere", "copy.db")));
    expect(error.code).toBe("ERR_BACKUP");
    store.close();
  });
});
