// Everything the service remembers, in one SQLite file: its id scope and keys, who may register, who did, and what
// the hubs know. Ids are found in any case and given back as they were written.

import type { DatabaseSync } from "node:sqlite";
import { announced, type Changes, createChanges } from "./changes.ts";
import { openDatabase } from "./database.ts";
import { type HubTable, hubTable } from "./hub-table.ts";
import { type PolicyTable, policyTable } from "./policy-table.ts";
import type { Quotas } from "./quotas.ts";
import type { Device, EnrollmentGroup, Operation } from "./records.ts";
import { type RegistrationMinutes, registrationMinutes } from "./registration-minutes.ts";
import { type ScenarioTable, scenarioTable } from "./scenario-table.ts";
import {
  type EnrollmentTable,
  enrollmentTable,
  type RegistrationTable,
  registrationIdOf,
  registrationTable,
} from "./searched-tables.ts";
import { document, keyOf, type SmallTable, smallTable } from "./tables.ts";

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
  readonly enrollments: EnrollmentTable;
  readonly enrollmentGroups: SmallTable<EnrollmentGroup>;
  readonly registrations: RegistrationTable;
  readonly registrationMinutes: Pick<RegistrationMinutes, "since">;
  readonly devices: DeviceTable;
  readonly operations: OperationTable;
  /** Those of a new service are no quotas at all. */
  readonly quotas: Quotas;
  setQuotas(quotas: Quotas): void;
  readonly scenarios: ScenarioTable;
  /** Tells of every write to the tables that operators see. */
  readonly changes: Pick<Changes, "subscribe">;

  /** All of `work` or nothing of it, on disk when this returns. Synchronous, like everything here; not reentrant. */
  transaction<Result>(work: () => Result): Result;
  /** The same without waiting for the disk: a power cut may cost it, the end of this process does not. */
  quickTransaction<Result>(work: () => Result): Result;
  close(): void;
}

/** Its name in the data directory. */
export const storeFile = "service.db";

/** Opens or creates the store (mode 0600). Throws ERR_SERVICE_START when that is impossible. */
export function openStore(file: string): Store {
  const db = openDatabase(file);
  const idScope = setting<string>(db, "idScope");
  let quotas = setting<Quotas>(db, "quotas");
  const changes = createChanges();
  const policies = announcedPolicies(policyTable(db), changes);
  const hubs = announced(changes, "hub", hubTable(db), (row) => row.hostName);
  const groupRows = smallTable<EnrollmentGroup>(db, "enrollment_group", (row) => row.enrollmentGroupId);
  const groups = announced(changes, "enrollmentGroup", groupRows, (row) => row.enrollmentGroupId);
  const scenarios = scenarioTable(db, changes);
  const minutes = registrationMinutes(db);
  const begin = db.prepare("BEGIN IMMEDIATE");
  const commit = db.prepare("COMMIT");

  function transaction<Result>(work: () => Result): Result {
    begin.run();
    changes.hold();
    let result: Result;
    try {
      result = work();
      commit.run();
    } catch (error) {
      changes.drop();
      db.exec("ROLLBACK");
      for (const remembered of [policies, hubs, groups, scenarios]) remembered.forget();
      throw error;
    }
    changes.release();
    return result;
  }

  return {
    idScope,
    policies,
    hubs,
    enrollments: announced(changes, "enrollment", enrollmentTable(db), registrationIdOf),
    enrollmentGroups: groups,
    registrations: announced(changes, "registration", registrationTable(db, minutes), registrationIdOf),
    registrationMinutes: minutes,
    devices: deviceTable(db),
    operations: operationTable(db),
    get quotas() {
      return quotas;
    },
    setQuotas(changed) {
      db.prepare("UPDATE setting SET value = ? WHERE name = 'quotas'").run(JSON.stringify(changed));
      quotas = changed;
    },
    scenarios,
    changes,
    transaction,
    quickTransaction(work) {
      db.exec("PRAGMA synchronous = NORMAL");
      try {
        return transaction(work);
      } finally {
        db.exec("PRAGMA synchronous = FULL");
      }
    },
    close: () => db.close(),
  };
}

function setting<Value>(db: DatabaseSync, name: string): Value {
  const { value } = db.prepare("SELECT value FROM setting WHERE name = ?").get(name) as { value: string };
  return JSON.parse(value) as Value;
}

const announcedPolicies = (policies: PolicyTable, { note }: Changes): PolicyTable => ({
  ...policies,
  put(policy) {
    policies.put(policy);
    note({ of: "policy", id: policy.name });
  },
});

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
  // An update keeps what refers to the row.
  const put = db.prepare(`
    INSERT INTO operation (operation_id, ready_at, document) VALUES (?, ?, ?)
    ON CONFLICT DO UPDATE SET ready_at = excluded.ready_at, document = excluded.document`);
  const prune = db.prepare("DELETE FROM operation WHERE ready_at < ?");
  return {
    get: (operationId) => document(get.get(operationId)),
    put: (row) => void put.run(row.operationId, row.readyAt, JSON.stringify(row)),
    prune: (readyBefore) => void prune.run(readyBefore),
  };
}
