// Tables of the store: one JSON document a row, found by id in any case and given back as it was written.

import type { DatabaseSync } from "node:sqlite";

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

/** A table whose few rows are asked for all the time, and therefore stay in memory. */
export interface SmallTable<Row> extends Table<Row> {
  /** All of them in order of id; the same objects until one of them changes. */
  all(): readonly Row[];
  /** To be called when a transaction was rolled back. */
  forget(): void;
}

/** The form under which ids are compared. */
export const keyOf = (id: string): string => id.toLowerCase();

type Found = Record<string, unknown> | undefined;

export const document = <Row>(found: Found): Row | undefined =>
  found === undefined ? undefined : (JSON.parse(found["document"] as string) as Row);

export const documents = <Row>(found: Found[]): Row[] => found.map((each) => document<Row>(each) as Row);

/** Parts of a document that are wanted outside of it, by column. */
export type Columns<Row> = Readonly<Record<string, (row: Row) => string | null>>;

/** The table `name`, which has the columns `key` and `document`, and those of `columns`. */
export function table<Row>(
  db: DatabaseSync,
  name: string,
  idOf: (row: Row) => string,
  columns: Columns<Row> = {},
): Table<Row> {
  const names = ["key", "document", ...Object.keys(columns)];
  const values = (row: Row): (string | null)[] => Object.values(columns).map((column) => column(row));
  const get = db.prepare(`SELECT document FROM ${name} WHERE key = ?`);
  // Not INSERT OR REPLACE, which would count a changed record as a new one.
  const put = db.prepare(`
    INSERT INTO ${name} (${names.join(", ")}) VALUES (${names.map(() => "?").join(", ")})
    ON CONFLICT DO UPDATE SET ${names.map((column) => `${column} = excluded.${column}`).join(", ")}`);
  const remove = db.prepare(`DELETE FROM ${name} WHERE key = ?`);
  const page = db.prepare(`SELECT document FROM ${name} WHERE key > ? ORDER BY key LIMIT ?`);
  return {
    get: (id) => document(get.get(keyOf(id))),
    put: (row) => void put.run(keyOf(idOf(row)), JSON.stringify(row), ...values(row)),
    delete: (id) => remove.run(keyOf(id)).changes > 0,
    page: ({ after = "", limit }) => documents(page.all(keyOf(after), limit)),
  };
}

export function smallTable<Row>(db: DatabaseSync, name: string, idOf: (row: Row) => string): SmallTable<Row> {
  const rows = table<Row>(db, name, idOf);
  let known: readonly Row[] | undefined;
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
