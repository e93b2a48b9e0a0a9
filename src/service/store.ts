// Everything the service remembers, in one SQLite file: its id scope and keys, who may register, who did, and what
// the hubs know. Ids are found in any case and given back as they were written.

import { MooringError } from "../errors.ts";
import type {
  Device,
  EnrollmentGroup,
  IndividualEnrollment,
  Operation,
  Policy,
  Registration,
} from "./records.ts";

/** One kind of record, by id. A record that did not change may be the same object as before. */
export interface Table<Row> {
  get(id: string): Row | undefined;
  /** Inserts, or replaces the row of the same id. */
  put(row: Row): void;
  /** Whether there was one. */
  delete(id: string): boolean;
  /** Up to `limit` rows in order of id, those after `after` (a lower-case id). */
  page(options: { after?: string; limit: number }): Row[];
}

export interface RegistrationTable extends Omit<Table<Registration>, "page"> {
  /** The registrations that came through one group. */
  pageOfGroup(enrollmentGroupId: string, options: { after?: string; limit: number }): Registration[];
}

export interface DeviceTable {
  get(hub: string, deviceId: string): Device | undefined;
  put(device: Device): void;
  delete(hub: string, deviceId: string): boolean;
}

export interface OperationTable {
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
  readonly enrollmentGroups: Table<EnrollmentGroup> & {
    /** All of them: there are at most two hundred. */
    all(): readonly EnrollmentGroup[];
  };
  readonly registrations: RegistrationTable;
  readonly devices: DeviceTable;
  readonly operations: OperationTable;

  /** All of `work` or nothing of it. Synchronous, like everything here; not reentrant. */
  transaction<Result>(work: () => Result): Result;
  close(): void;
}

/** Opens or creates the store (mode 0600). Throws ERR_SERVICE_START when that is impossible. */
export function openStore(file: string): Store {
  throw new MooringError("ERR_INTERNAL", `cannot open ${file}: the store is not built yet`);
}
