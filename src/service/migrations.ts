// How a store came to be what it is: each step takes the file from the layout of its index to the next, and
// `user_version` counts the steps taken. Steps that were released are never changed, only followed by others.

import { randomBytes } from "node:crypto";
import type { DatabaseSync } from "node:sqlite";
import { newPolicyKey } from "./policy-table.ts";
import { permissions } from "./records.ts";

/** The name of a hub that leads nowhere: `.internal` belongs to nobody. Linked until others are. */
const firstHub = "hub.mooring.internal";

export const migrations: readonly ((db: DatabaseSync) => void)[] = [
  createTables,
  manageHubsAndPolicies,
  keepScenarios,
  searchAndCount,
  limitAmounts,
];

function createTables(db: DatabaseSync): void {
  db.exec(`
    CREATE TABLE setting (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID, STRICT;
    CREATE TABLE policy (position INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, document TEXT NOT NULL) STRICT;
    CREATE TABLE enrollment (key TEXT PRIMARY KEY, document TEXT NOT NULL) WITHOUT ROWID, STRICT;
    CREATE TABLE enrollment_group (key TEXT PRIMARY KEY, document TEXT NOT NULL) WITHOUT ROWID, STRICT;
    CREATE TABLE registration (key TEXT PRIMARY KEY, group_key TEXT, document TEXT NOT NULL) WITHOUT ROWID, STRICT;
    CREATE INDEX registration_of_group ON registration (group_key, key) WHERE group_key IS NOT NULL;
    CREATE TABLE device (hub TEXT, device_id TEXT, document TEXT NOT NULL, PRIMARY KEY (hub, device_id))
      WITHOUT ROWID, STRICT;
    CREATE TABLE operation (operation_id TEXT PRIMARY KEY, ready_at INTEGER NOT NULL, document TEXT NOT NULL)
      WITHOUT ROWID, STRICT;
    CREATE INDEX operation_by_age ON operation (ready_at);
  `);
  const setting = db.prepare("INSERT INTO setting VALUES (?, ?)");
  setting.run("idScope", JSON.stringify(`0ne00${randomBytes(3).toString("hex").toUpperCase()}`));
  setting.run("linkedHubs", JSON.stringify([firstHub]));

  const policy = db.prepare("INSERT INTO policy (name, document) VALUES (?, ?)");
  const add = (name: string, granted: readonly string[]): void => {
    policy.run(name, JSON.stringify({ name, permissions: granted, key: newPolicyKey() }));
  };
  add("provisioningserviceowner", permissions);
  for (const permission of permissions) add(permission.toLowerCase(), [permission]);
}

/** Hubs become records, and every policy gets a second key; the first stays what it is. */
function manageHubsAndPolicies(db: DatabaseSync): void {
  db.exec(`
    CREATE TABLE hub (key TEXT PRIMARY KEY, document TEXT NOT NULL) WITHOUT ROWID, STRICT;
    CREATE INDEX device_of_hub ON device (hub);
  `);
  const linked = db.prepare("SELECT value FROM setting WHERE name = 'linkedHubs'").get() as { value: string };
  const hub = db.prepare("INSERT OR IGNORE INTO hub VALUES (?, ?)");
  for (const hostName of JSON.parse(linked.value) as string[]) {
    const placeholder = hostName === firstHub && { placeholder: true };
    hub.run(hostName.toLowerCase(), JSON.stringify({ hostName, allocationWeight: 1, ...placeholder }));
  }
  db.exec("DELETE FROM setting WHERE name = 'linkedHubs'");

  const update = db.prepare("UPDATE policy SET document = ? WHERE name = ?");
  for (const { name, document } of db.prepare("SELECT name, document FROM policy").all()) {
    const { key: primaryKey, ...policy } = JSON.parse(document as string);
    update.run(JSON.stringify({ ...policy, primaryKey, secondaryKey: newPolicyKey() }), name as string);
  }
}

function keepScenarios(db: DatabaseSync): void {
  db.exec(`
    CREATE TABLE scenario (key TEXT PRIMARY KEY, document TEXT NOT NULL) WITHOUT ROWID, STRICT;
    CREATE TABLE held_operation (
      operation_id TEXT PRIMARY KEY REFERENCES operation ON DELETE CASCADE, target TEXT NOT NULL, polls INTEGER)
      WITHOUT ROWID, STRICT;
  `);
}

/** Enrollments and registrations are found by a part of their ids, and registrations are counted by the minute. */
function searchAndCount(db: DatabaseSync): void {
  for (const [name, status] of [
    ["enrollment", "provisioningStatus"],
    ["registration", "status"],
  ]) {
    db.exec(`
      ALTER TABLE ${name} ADD COLUMN device_key TEXT;
      ALTER TABLE ${name} ADD COLUMN status TEXT;
      UPDATE ${name} SET device_key = lower(document ->> '$.deviceId'), status = document ->> '$.${status}';
      CREATE INDEX ${name}_search ON ${name} (key, device_key, status);
    `);
  }
  db.exec(`
    CREATE TABLE registration_minute (minute INTEGER PRIMARY KEY, assigned INTEGER NOT NULL, failed INTEGER NOT NULL)
      STRICT;
  `);
}

/** Quotas by the minute, and the numbers of the records that have a limit, kept up to date by SQLite. */
function limitAmounts(db: DatabaseSync): void {
  const none = JSON.stringify({ registrationsPerMinute: null, serviceCallsPerMinute: null });
  db.prepare("INSERT INTO setting VALUES ('quotas', ?)").run(none);
  db.exec("CREATE TABLE amount (name TEXT PRIMARY KEY, records INTEGER NOT NULL) WITHOUT ROWID, STRICT");
  for (const name of ["enrollment", "registration"]) {
    db.exec(`
      INSERT INTO amount SELECT '${name}', count(*) FROM ${name};
      CREATE TRIGGER ${name}_added AFTER INSERT ON ${name}
        BEGIN UPDATE amount SET records = records + 1 WHERE name = '${name}'; END;
      CREATE TRIGGER ${name}_deleted AFTER DELETE ON ${name}
        BEGIN UPDATE amount SET records = records - 1 WHERE name = '${name}'; END;
    `);
  }
}
