// Queries of the service API: the little SQL that is understood, and results in pages.

import { Refusal } from "./refusal.ts";
import type { Page } from "./tables.ts";

const defaultItems = 100;
const mostItems = 1000;
const longestQuery = 1000;

/** What the headers of a query ask for. */
export interface Query extends Page {
  /** What is listed; a continuation goes on with nothing else. */
  readonly list: string;
}

/** What is listed, by the names that clients have for it. */
const sources = {
  enrollments: ["enrollments"],
  enrollmentGroups: ["enrollmentGroups"],
  // Azure's own samples and PowerShell ask for a group's registrations in the name of enrollments.
  registrations: ["registrations", "enrollments", "enrollmentGroups"],
} as const;

/** `*`, `SELECT *` and `SELECT * FROM …` are understood: everything, that is. Throws a 400000 for anything else. */
export function verifyQuery(body: unknown, from: keyof typeof sources): void {
  const query = (body as { query?: unknown } | undefined)?.query;
  if (query === undefined || query === null) return;
  const everything = new RegExp(
    `^\\s*(select\\s+)?\\*(\\s+from\\s+(${sources[from].join("|")}))?\\s*;?\\s*$`,
    "i",
  );
  if (typeof query !== "string" || query.length > longestQuery || !everything.test(query)) {
    throw new Refusal(400000, `query: only "SELECT * FROM ${from}" is supported`);
  }
}

/** From `x-ms-max-item-count` and `x-ms-continuation`. */
export function readPage(headers: NodeJS.Dict<string | string[]>, list: string): Query {
  const count = headers["x-ms-max-item-count"] || String(defaultItems);
  const limit = Number(count);
  if (!Number.isInteger(limit) || limit < 1)
    throw new Refusal(400000, "x-ms-max-item-count: not a positive number");
  const continuation = headers["x-ms-continuation"];
  const page = { list, limit: Math.min(limit, mostItems) };
  return continuation ? { ...page, after: readContinuation(String(continuation), list) } : page;
}

/** One row more than asked for tells whether there is another page. */
export function cutPage<Row>(
  { after, limit, list }: Query,
  fetch: (page: Page) => Row[],
  idOf: (row: Row) => string,
): { rows: Row[]; continuation?: string } {
  const rows = fetch({ limit: limit + 1, ...(after !== undefined && { after }) });
  if (rows.length <= limit) return { rows };
  const kept = rows.slice(0, limit);
  return { rows: kept, continuation: continueAfter(idOf(kept[limit - 1] as Row), list) };
}

const continueAfter = (id: string, list: string): string =>
  Buffer.from(`${list} ${id}`).toString("base64url");

function readContinuation(token: string, list: string): string {
  const text = Buffer.from(token, "base64url").toString();
  if (!text.startsWith(`${list} `))
    throw new Refusal(400000, "x-ms-continuation: not from an answer to this query");
  return text.slice(list.length + 1);
}
