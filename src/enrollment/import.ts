// Many enrollments at once: ten in a request, each judged by itself, and every row accounted for in the end. A request
// whose answer was lost is sent again; what it had created already is recognised by what it is.

import { MooringError } from "../errors.ts";
import type { Enrollments } from "./client.ts";
import { differences, sameCredential } from "./comparison.ts";
import { ifThere } from "./if-there.ts";
import type { ImportJournal, RefusedRow, Tally } from "./import-journal.ts";
import type { Kind } from "./kind.ts";
import type { AnyEnrollment, BulkResult } from "./record.ts";
import type { FileRow } from "./rows-file.ts";

/** The most that the service API takes in one request. */
const bulkItems = 10;

export interface ImportOptions {
  readonly enrollments: Enrollments<AnyEnrollment>;
  readonly kind: Kind;
  readonly rows: AsyncIterable<FileRow>;
  readonly journal: ImportJournal;
  /** Whether an enrollment that is there and differs is changed, its credential excepted. */
  readonly update: boolean;
  readonly onProgress: (tally: Tally, refused: number) => void;
  readonly signal: AbortSignal;
}

export interface Imported extends Tally {
  readonly refused: readonly RefusedRow[];
}

/** Throws what the client throws for the whole service, such as ERR_UNAUTHORIZED; the journal then keeps the place. */
export async function importRows(options: ImportOptions): Promise<Imported> {
  const { journal, signal, onProgress } = options;
  const refused: RefusedRow[] = [...(journal.before?.refused ?? [])];
  let tally: Tally = journal.before?.tally ?? { rows: 0, created: 0, updated: 0, alreadyThere: 0 };
  onProgress(tally, refused.length);
  for await (const batch of batchesBehind(tally.rows, options.rows)) {
    signal.throwIfAborted();
    const outcomes = await sendBatch(batch, options);
    const count = (wanted: Outcome["became"]): number =>
      outcomes.filter(({ became }) => became === wanted).length;
    const no = outcomes.flatMap((outcome) => (outcome.became === "refused" ? [outcome.refusal] : []));
    tally = {
      rows: tally.rows + batch.length,
      created: tally.created + count("created"),
      updated: tally.updated + count("updated"),
      alreadyThere: tally.alreadyThere + count("alreadyThere"),
    };
    journal.record(tally, no);
    refused.push(...no);
    onProgress(tally, refused.length);
  }
  return { ...tally, refused };
}

type Outcome =
  | { readonly became: "created" | "updated" | "alreadyThere" }
  | { readonly became: "refused"; readonly refusal: RefusedRow };

async function* batchesBehind(done: number, rows: AsyncIterable<FileRow>): AsyncGenerator<FileRow[]> {
  let skip = done;
  let batch: FileRow[] = [];
  for await (const row of rows) {
    if (skip-- > 0) continue;
    batch.push(row);
    if (batch.length === bulkItems) {
      yield batch;
      batch = [];
    }
  }
  if (batch.length > 0) yield batch;
}

async function sendBatch(batch: readonly FileRow[], options: ImportOptions): Promise<Outcome[]> {
  const { kind } = options;
  const errors = await bulk(
    "create",
    batch.map(({ row }) => row),
    options,
  );
  const judge = async (each: FileRow): Promise<Outcome> => {
    const error = errors.get(key(kind.idOf(each.row)));
    if (error === undefined) return { became: "created" };
    if (Math.floor(error.errorCode / 1000) === 409) return settle(each, error, options);
    return refuse(each, kind, error.errorStatus, error.errorCode);
  };
  return Promise.all(batch.map(judge));
}

type ItemError = BulkResult["errors"][number];

const key = (id: string): string => id.toLowerCase();

const refuse = ({ line, row }: FileRow, kind: Kind, reason: string, errorCode?: number): Outcome => ({
  became: "refused",
  refusal: { line, id: kind.idOf(row), ...(errorCode !== undefined && { errorCode }), reason },
});

/** Errors by id. One row that the service cannot even read makes it refuse ten, so those are then sent one by one. */
async function bulk(
  mode: "create" | "updateIfMatchETag",
  rows: readonly AnyEnrollment[],
  { enrollments, kind, signal }: ImportOptions,
): Promise<ReadonlyMap<string, ItemError>> {
  const send = async (some: readonly AnyEnrollment[]): Promise<readonly ItemError[]> => {
    try {
      return (await enrollments.bulk(mode, some, { signal })).errors;
    } catch (error) {
      if (!(error instanceof MooringError) || error.code !== "ERR_ENROLLMENT_REFUSED") throw error;
      if (some.length > 1) return (await inTurn(some, (row) => send([row]))).flat();
      const { serviceErrorCode = 400000, serviceMessage = error.message } = error.details;
      return some.map((row) => ({
        [kind.idMember]: kind.idOf(row),
        errorCode: serviceErrorCode,
        errorStatus: serviceMessage,
      }));
    }
  };
  return new Map((await send(rows)).map((error) => [key(error[kind.idMember] ?? ""), error]));
}

async function inTurn<Item, Result>(
  items: readonly Item[],
  act: (item: Item) => Promise<Result>,
): Promise<Result[]> {
  const results: Result[] = [];
  for (const item of items) results.push(await act(item));
  return results;
}

/** The service has an enrollment of this name: the same, one to update, or another. */
async function settle(each: FileRow, conflict: ItemError, options: ImportOptions): Promise<Outcome> {
  const { enrollments, kind, update, signal } = options;
  const { row } = each;
  const found = await ifThere(enrollments.getWithKeys(kind.idOf(row), { signal }));
  // Another conflict: a quota, say.
  if (!found) return refuse(each, kind, conflict.errorStatus, conflict.errorCode);
  const different = differences(found, row);
  if (different.length === 0) return { became: "alreadyThere" };
  if (!update) {
    const reason = `it is there already, with another ${different.join(", ")}`;
    return refuse(each, kind, reason, conflict.errorCode);
  }
  if (!sameCredential(found.attestation, row.attestation)) {
    const reason = "it is there already, with another credential; an update never changes that";
    return refuse(each, kind, reason, conflict.errorCode);
  }
  const { attestation, etag } = found;
  const errors = await bulk("updateIfMatchETag", [{ ...row, attestation, ...(etag && { etag }) }], options);
  const error = errors.get(key(kind.idOf(row)));
  return error ? refuse(each, kind, error.errorStatus, error.errorCode) : { became: "updated" };
}
