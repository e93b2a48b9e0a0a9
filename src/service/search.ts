// Finding records among a hundred thousand: by a part of their ids, page by page. A search reads nothing but an index
// of ids; the documents are read of the rows that are shown.

import type { DatabaseSync } from "node:sqlite";
import { type Columns, documents, keyOf, type Page } from "./tables.ts";

export interface Search extends Page {
  /** A part of an id, or of the device's id at its hub, in any case. */
  readonly text?: string;
  readonly status?: string;
}

export interface Searchable<Row> {
  search(search: Search): Row[];
  count(): number;
}

/** What the index `${name}_search` has beside the key. */
export const searchColumns = <Row extends { readonly deviceId?: string }>(
  statusOf: (row: Row) => string,
): Columns<Row> => ({
  device_key: ({ deviceId }) => (deviceId === undefined ? null : keyOf(deviceId)),
  status: statusOf,
});

export function searchable<Row>(db: DatabaseSync, name: "enrollment" | "registration"): Searchable<Row> {
  const found = db.prepare(`
    SELECT document FROM ${name} WHERE key IN (
      SELECT key FROM ${name} INDEXED BY ${name}_search
      WHERE key > $after AND (instr(key, $text) > 0 OR instr(device_key, $text) > 0)
        AND ($status IS NULL OR status = $status)
      ORDER BY key LIMIT $limit)
    ORDER BY key`);
  const count = db.prepare("SELECT records FROM amount WHERE name = ?");
  return {
    search: ({ after = "", text = "", status = null, limit }) =>
      documents(found.all({ $after: keyOf(after), $text: keyOf(text), $status: status, $limit: limit })),
    count: () => Number(count.get(name)?.["records"]),
  };
}
