// The SQLite file under the store: opened private, durable enough, and at the newest layout.

import { randomBytes } from "node:crypto";
import { chmodSync, closeSync, openSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { MooringError } from "../errors.ts";
import { permissions } from "./records.ts";

/** The name of a hub that leads nowhere: `.internal` belongs to nobody. Linked until others are. */
const firstHub = "hub.mooring.internal";

/** Each step takes a file from the layout of its index to the next; `user_version` counts the steps taken. */
const steps: readonly ((db: DatabaseSync) => void)[] = [
  (db) => {
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
      policy.run(
        name,
        JSON.stringify({ name, permissions: granted, key: randomBytes(64).toString("base64") }),
      );
    };
    add("provisioningserviceowner", permissions);
    for (const permission of permissions) add(permission.toLowerCase(), [permission]);
  },
];

/** Opens or creates `file` with mode 0600. Throws ERR_SERVICE_START. */
export function openDatabase(file: string): DatabaseSync {
  let db: DatabaseSync | undefined;
  try {
    // Created here and not by SQLite, which would ask the umask; its -wal and -shm files take over the mode.
    closeSync(openSync(file, "a", 0o600));
    chmodSync(file, 0o600);
    db = new DatabaseSync(file);
    // With a write-ahead log, NORMAL survives any crash of this process, and a power cut without damage; that may
    // cost the last few registrations, which devices simply repeat.
    db.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA busy_timeout = 5000");
    migrate(db, file);
    return db;
  } catch (cause) {
    db?.close();
    if (cause instanceof MooringError) throw cause;
    throw new MooringError("ERR_SERVICE_START", `cannot open the store ${file}`, { cause, path: file });
  }
}

function migrate(db: DatabaseSync, file: string): void {
  db.exec("BEGIN IMMEDIATE");
  try {
    const { user_version: layout } = db.prepare("PRAGMA user_version").get() as { user_version: number };
    if (layout > steps.length) {
      throw new MooringError(
        "ERR_SERVICE_START",
        `the store ${file} has layout ${layout}, this version of the service knows ${steps.length} at most`,
      );
    }
    for (const step of steps.slice(layout)) step(db);
    db.exec(`PRAGMA user_version = ${steps.length}; COMMIT`);
  } catch (error) {
    db.exec("ROLLBACK");
    throw error;
  }
}
