// The SQLite file under the store: opened private, durable enough, and at the newest layout.

import { chmodSync, closeSync, openSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { MooringError } from "../errors.ts";
import { migrations } from "./migrations.ts";

/** Opens or creates `file` with mode 0600. Throws ERR_SERVICE_START. */
export function openDatabase(file: string): DatabaseSync {
  let db: DatabaseSync | undefined;
  try {
    // Created here and not by SQLite, which would ask the umask; its -wal and -shm files take over the mode.
    closeSync(openSync(file, "a", 0o600));
    chmodSync(file, 0o600);
    db = new DatabaseSync(file);
    // FULL writes each commit through to the disk. Without that, it would survive the end of this process all the
    // same, whatever ended it, but a power cut could cost the last few thousand.
    db.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA busy_timeout = 5000");
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
    if (layout > migrations.length) {
      throw new MooringError(
        "ERR_SERVICE_START",
        `the store ${file} has layout ${layout}, this version of the service knows ${migrations.length} at most`,
      );
    }
    for (const step of migrations.slice(layout)) step(db);
    db.exec(`PRAGMA user_version = ${migrations.length}; COMMIT`);
  } catch (error) {
    db.exec("ROLLBACK");
    throw error;
  }
}
