// Everything the service remembers, in one SQLite file: its id scope and keys, who may register, who did, and what
// the hubs know. Ids are found in any case and given back as they were written.

import type { DatabaseSync } from "node:sqlite";
import { openDatabase } from "./database.ts";
import { type HubTable, hubTable } from "./hub-table.ts";
import { type PolicyTable, policyTable } from "./policy-table.ts";
import type { Device, EnrollmentGroup, IndividualEnrollment, Operation, Registration } from "./records.ts";
import { type ScenarioTable, scenarioTable } from "./scenario-table.ts";
import {
  document,
  documents,
  keyOf,
  type Page,
  type SmallTable,
  smallTable,
  type Table,
  table,
} from "./tables.ts";

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
  readonly policies: PolicyTable;
  readonly hubs: HubTable;
  readonly enrollments: Table<IndividualEnrollment>;
  readonly enrollmentGroups: SmallTable<EnrollmentGroup>;
  readonly registrations: RegistrationTable;
  readonly devices: DeviceTable;
  readonly operations: OperationTable;
  readonly scenarios: ScenarioTable;

  /** All of `work` or nothing of it. Synchronous, like everything here; not reentrant. */
  transaction<Result>(work: () => Result): Result;
  close(): void;
}

/** Opens or creates the store (mode 0600). Throws ERR_SERVICE_START when that is impossible. */
export function openStore(file: string): Store {
  const db = openDatabase(file);
  const idScope = setting<string>(db, "idScope");
  const policies = policyTable(db);
  const hubs = hubTable(db);
  const groups = smallTable<EnrollmentGroup>(db, "enrollment_group", (row) => row.enrollmentGroupId);
  const scenarios = scenarioTable(db);
  const begin = db.prepare("BEGIN IMMEDIATE");
  const commit = db.prepare("COMMIT");

  return {
    idScope,
    policies,
    hubs,
    enrollments: table<IndividualEnrollment>(db, "enrollment", (row) => row.registrationId),
    enrollmentGroups: groups,
    registrations: registrationTable(db),
    devices: deviceTable(db),
    operations: operationTable(db),
    scenarios,
    transaction(work) {
      begin.run();
      try {
        const result = work();
        commit.run();
        return result;
      } catch (error) {
        db.exec("ROLLBACK");
        for (const remembered of [policies, hubs, groups, scenarios]) remembered.forget();
        throw error;
      }
    },
    close: () => db.close(),
  };
}

function setting<Value>(db: DatabaseSync, name: string): Value {
  const { value } = db.prepare("SELECT value FROM setting WHERE name = ?").get(name) as { value: string };
  return JSON.parse(value) as Value;
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
  const put = db.prepare(
    "INSERT OR REPLACE INTO operation (operation_id, ready_at, document) VALUES (?, ?, ?)",
  );
  const prune = db.prepare("DELETE FROM operation WHERE ready_at < ?");
  return {
    get: (operationId) => document(get.get(operationId)),
    put: (row) => void put.run(row.operationId, row.readyAt, JSON.stringify(row)),
    prune: (readyBefore) => void prune.run(readyBefore),
  };
}
