// A copy of the store while the service runs, or while it does not: one file, whole, sound and private, or nothing.

import * as fs from "node:fs";
import { basename, dirname, join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { MooringError, systemCode } from "../errors.ts";
import { storeFile } from "./store.ts";

export interface Backup {
  readonly file: string;
  readonly bytes: number;
  readonly idScope: string;
  readonly enrollments: number;
  readonly enrollmentGroups: number;
  readonly registrations: number;
}

/** Copies the store of `dataDirectory` to `file`, which must not exist (mode 0600). Throws ERR_BACKUP. */
export function backupStore(dataDirectory: string, file: string): Backup {
  const temporary = join(dirname(file), `.${basename(file)}.${process.pid}.part`);
  try {
    copy(join(dataDirectory, storeFile), temporary);
    const backup = { file, ...inspect(temporary) };
    // Unlike a rename, a link never takes the place of a file that is there.
    fs.linkSync(temporary, file);
    sync(dirname(file));
    return backup;
  } catch (cause) {
    if (cause instanceof MooringError) throw cause;
    throw new MooringError("ERR_BACKUP", `cannot make the backup ${file}${reason(cause)}`, {
      cause,
      path: file,
    });
  } finally {
    fs.rmSync(temporary, { force: true });
  }
}

function copy(from: string, to: string): void {
  if (!fs.existsSync(from)) {
    throw new MooringError("ERR_BACKUP", `there is no store at ${from}`, {
      path: from,
      hint: "give --data the directory that `mooring service run` uses",
    });
  }
  fs.closeSync(fs.openSync(to, "wx", 0o600));
  // Not read-only: such a connection leaves the log of a store that nobody else has open behind.
  using db = new DatabaseSync(from);
  db.exec("PRAGMA busy_timeout = 5000");
  // One reading transaction, which a busy service neither holds up nor makes begin anew, as it does with SQLite's
  // backup API. SQLite does not sync such a copy.
  db.prepare("VACUUM INTO ?").run(to);
  sync(to);
}

/** What is in the copy, once all of it has been checked. */
function inspect(file: string): Omit<Backup, "file"> {
  using db = new DatabaseSync(file, { readOnly: true });
  const { integrity_check: verdict } = db.prepare("PRAGMA integrity_check(1)").get() ?? {};
  if (verdict !== "ok")
    throw new MooringError("ERR_BACKUP", `the copy is damaged: ${verdict}`, { path: file });
  const count = (name: string): number =>
    Number(db.prepare(`SELECT count(*) AS records FROM ${name}`).get()?.["records"]);
  const idScope = db.prepare("SELECT value FROM setting WHERE name = 'idScope'").get()?.["value"];
  return {
    bytes: fs.statSync(file).size,
    idScope: JSON.parse(String(idScope)),
    enrollments: count("enrollment"),
    enrollmentGroups: count("enrollment_group"),
    registrations: count("registration"),
  };
}

function sync(path: string): void {
  const fd = fs.openSync(path, "r");
  fs.fsyncSync(fd);
  fs.closeSync(fd);
}

function reason(cause: unknown): string {
  const code = systemCode(cause);
  if (code === "EEXIST") return ": something is there already, and a backup replaces nothing";
  return code === "ENOSPC" ? ": the file system is full" : "";
}
