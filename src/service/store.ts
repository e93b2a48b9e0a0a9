// Everything the service remembers, in one SQLite file: its id scope and keys, who may register, who did, and what
// the hubs know. Ids are found in any case and given back as they were written.

import type { DatabaseSync } from "node:sqlite";
import { openDatabase } from "./database.ts";
import type {
  Device,
  EnrollmentGroup,
  IndividualEnrollment,
  Operation,
  Policy,
  Registration,
} from "./records.ts";

/** A stretch of a table in order of id: up to `limit` rows behind `after`, which is an id or absent. */
export interface Page {
  readonly after?: string;
  readonly limit: number;
}

/** One kind of record, by id. */
export interface Table<Row> {
  get(id: string): Row | undefined;
  /** Inserts, or replaces the row of the same id. */
  put(row: Row): void;
  /** Whether there was one. */
  delete(id: string): boolean;
  page(page: Page): Row[];
}

interface GroupTable extends Table<EnrollmentGroup> {
  /** All of them; the same objects until one of them changes. */
  all(): readonly EnrollmentGroup[];
}

interface RegistrationTable extends Omit<Table<Registration>, "page"> {
  /** The registrations that came through one group. */
  pageOfGroup(enrollmentGroupId: string, page: Page): Registration[];
}

interface DeviceTable {
  get(hub: string, deviceId: string): Device | undefined;
  put(device: Device): void;
  delete(hub: string, deviceId: string): boolean;
}

interface OperationTable {
  get(operationId: string): Operation | undefined;
  put(operation: Operation): void;
  /** Forgets what was ready before `readyBefore` (ms since 1970). */
  prune(readyBefore: number): void;
}

export interface Store {
  /** Made once, when the file is new: `0ne00` and six hex digits. */
  readonly idScope: string;
  /** Made once as well; the first is `provisioningserviceowner`, which may do everything. */
  readonly policies: readonly Policy[];
  /** Host names; never empty. */
  readonly linkedHubs: readonly string[];
  linkHubs(hubs: readonly string[]): void;

  readonly enrollments: Table<IndividualEnrollment>;
  readonly enrollmentGroups: GroupTable;
  readonly registrations: RegistrationTable;
  readonly devices: DeviceTable;
  readonly operations: OperationTable;

  /** All of `work` or nothing of it. Synchronous, like everything here; not reentrant. */
  transaction<Result>(work: () => Result): Result;
  close(): void;
}

/** The form under which ids are compared. */
export const keyOf = (id: string): string => id.toLowerCase();

/** Opens or creates the store (mode 0600). Throws ERR_SERVICE_START when that is impossible. */
export function openStore(file: string): Store {
  const db = openDatabase(file);
  const idScope = setting<string>(db, "idScope");
  let linkedHubs = setting<string[]>(db, "linkedHubs");
  const groups = groupTable(db);
  const begin = db.prepare("BEGIN IMMEDIATE");
  const commit = db.prepare("COMMIT");

  return {
    idScope,
    policies: documents<Policy>(db.prepare("SELECT document FROM policy ORDER BY position").all()),
    get linkedHubs() {
      return linkedHubs;
    },
    linkHubs(hubs) {
      db.prepare("UPDATE setting SET value = ? WHERE name = 'linkedHubs'").run(JSON.stringify(hubs));
      linkedHubs = [...hubs];
    },
    enrollments: table<IndividualEnrollment>(db, "enrollment", (row) => row.registrationId),
    enrollmentGroups: groups,
    registrations: registrationTable(db),
    devices: deviceTable(db),
    operations: operationTable(db),
    transaction(work) {
      begin.run();
      try {
        const result = work();
        commit.run();
        return result;
      } catch (error) {
        db.exec("ROLLBACK");
        groups.forget();
        throw error;
      }
    },
    close: () => db.close(),
  };
}

type Found = Record<string, unknown> | undefined;

const document = <Row>(found: Found): Row | undefined =>
  found === undefined ? undefined : (JSON.parse(found["document"] as string) as Row);

const documents = <Row>(found: Found[]): Row[] => found.map((each) => document<Row>(each) as Row);

function setting<Value>(db: DatabaseSync, name: string): Value {
  const { value } = db.prepare("SELECT value FROM setting WHERE name = ?").get(name) as { value: string };
  return JSON.parse(value) as Value;
}

function table<Row>(db: DatabaseSync, name: string, idOf: (row: Row) => string): Table<Row> {
  const get = db.prepare(`SELECT document FROM ${name} WHERE key = ?`);
  const put = db.prepare(`INSERT OR REPLACE INTO ${name} (key, document) VALUES (?, ?)`);
  const remove = db.prepare(`DELETE FROM ${name} WHERE key = ?`);
  const page = db.prepare(`SELECT document FROM ${name} WHERE key > ? ORDER BY key LIMIT ?`);
  return {
    get: (id) => document(get.get(keyOf(id))),
    put: (row) => void put.run(keyOf(idOf(row)), JSON.stringify(row)),
    delete: (id) => remove.run(keyOf(id)).changes > 0,
    page: ({ after = "", limit }) => documents(page.all(keyOf(after), limit)),
  };
}

/** Groups are few and asked for at every registration without an enrollment of its own: they stay in memory. */
function groupTable(db: DatabaseSync): GroupTable & { forget(): void } {
  const rows = table<EnrollmentGroup>(db, "enrollment_group", (row) => row.enrollmentGroupId);
  let known: readonly EnrollmentGroup[] | undefined;
  return {
    ...rows,
    all: () => {
      known ??= rows.page({ limit: -1 });
      return known;
    },
    put(row) {
      rows.put(row);
      known = undefined;
    },
    delete(id) {
      known = undefined;
      return rows.delete(id);
    },
    forget() {
      known = undefined;
    },
  };
}

function registrationTable(db: DatabaseSync): RegistrationTable {
  const { get, delete: remove } = table<Registration>(db, "registration", (row) => row.registrationId);
  const put = db.prepare("INSERT OR REPLACE INTO registration (key, group_key, document) VALUES (?, ?, ?)");
  const page = db.prepare(
    "SELECT document FROM registration WHERE group_key = ? AND key > ? ORDER BY key LIMIT ?",
  );
  return {
    get,
    delete: remove,
    put: (row) => {
      const group = row.enrollmentGroupId === undefined ? null : keyOf(row.enrollmentGroupId);
      put.run(keyOf(row.registrationId), group, JSON.stringify(row));
    },
    pageOfGroup: (groupId, { after = "", limit }) => documents(page.all(keyOf(groupId), keyOf(after), limit)),
  };
}

function deviceTable(db: DatabaseSync): DeviceTable {
  const get = db.prepare("SELECT document FROM device WHERE hub = ? AND device_id = ?");
  const put = db.prepare("INSERT OR REPLACE INTO device (hub, device_id, document) VALUES (?, ?, ?)");
  const remove = db.prepare("DELETE FROM device WHERE hub = ? AND device_id = ?");
  return {
    get: (hub, deviceId) => document(get.get(keyOf(hub), deviceId)),
    put: (device) => void put.run(keyOf(device.hub), device.deviceId, JSON.stringify(device)),
    delete: (hub, deviceId) => remove.run(keyOf(hub), deviceId).changes > 0,
  };
}

function operationTable(db: DatabaseSync): OperationTable {
  const get = db.prepare("SELECT document FROM operation WHERE operation_id = ?");
  const put = db.prepare("INSERT INTO operation (operation_id, ready_at, document) VALUES (?, ?, ?)");
  const prune = db.prepare("DELETE FROM operation WHERE ready_at < ?");
  return {
    get: (operationId) => document(get.get(operationId)),
    put: (row) => void put.run(row.operationId, row.readyAt, JSON.stringify(row)),
    prune: (readyBefore) => void prune.run(readyBefore),
  };
}
