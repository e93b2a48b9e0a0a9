// One page of a long list. Where it is stands in the address; how one got there, for the way back, with the entry of
// the history. While somebody looks at the first page it moves with the service; further on it only says what is new.

import { useEffect, useRef, useState } from "preact/hooks";
import type { Failure } from "./call.ts";
import { useLiveBursts } from "./live.ts";
import { useLoad } from "./load.ts";
import { fetchPage } from "./management-calls.ts";
import type { LiveKind, Page } from "./records.ts";
import { go, hrefOf, type Route } from "./route.ts";

const rowsPerPage = 50;

export interface Listing<Row> {
  readonly rows: readonly Row[] | undefined;
  readonly failure: Failure | undefined;
  readonly loading: boolean;
  /** Keys of rows that came or changed while one was looking. */
  readonly fresh: ReadonlySet<string>;
  /** Things that happened out of sight. */
  readonly unseen: number;
  readonly search: string;
  readonly status: string;
  readonly pageNumber: number | undefined;
  readonly first: (() => void) | undefined;
  readonly previous: (() => void) | undefined;
  readonly next: (() => void) | undefined;
  find(query: { readonly search?: string; readonly status?: string }): void;
  reload(): void;
}

interface ListingOptions<Row> {
  readonly list: "enrollments" | "enrollmentGroups" | "registrations";
  readonly route: Route;
  readonly keyOf: (row: Row) => string;
  /** Another stamp means another version. */
  readonly stampOf: (row: Row) => string;
  /** What the rows are. */
  readonly live: LiveKind;
  /** What else changes a row that is shown. */
  readonly related?: LiveKind;
}

export function useListing<Row>({
  list,
  route,
  keyOf,
  stampOf,
  live,
  related = live,
}: ListingOptions<Row>): Listing<Row> {
  const search = route.query.get("search") ?? "";
  const status = route.query.get("status") ?? "";
  const after = route.query.get("after") ?? "";
  const trail = after === "" ? [] : readTrail();

  const { value, failure, loading, reload } = useLoad<Page<Row>>(
    (signal) => fetchPage(list, { search, status, after, limit: rowsPerPage }, signal),
    [list, search, status, after],
  );
  const fresh = useFresh(value, `${list} ${search} ${status} ${after}`, keyOf, stampOf);

  const [unseen, setUnseen] = useState<ReadonlySet<string>>(new Set());
  // What is loaded has been seen.
  useEffect(() => setUnseen(new Set()), [value]);
  const areShown = (ids: ReadonlySet<string>): boolean =>
    value?.items.some((row) => [...ids].some((id) => id.toLowerCase() === keyOf(row).toLowerCase())) ?? false;
  useLiveBursts([live], (ids) => {
    if (after === "" || areShown(ids)) return reload();
    const matching = [...ids].filter((id) => id.toLowerCase().includes(search.toLowerCase()));
    setUnseen((before) => new Set([...before, ...matching]));
  });
  useLiveBursts([related], (ids) => {
    if (related !== live && areShown(ids)) reload();
  });

  const at = (place: string, way: readonly string[]) => (): void =>
    go(hrefOf(route.path, { search, status, after: place }), { state: { trail: way } });
  const last = trail.at(-1);
  return {
    rows: value?.items,
    failure,
    loading,
    fresh,
    unseen: unseen.size,
    search,
    status,
    pageNumber: after === "" || trail[0] === "" ? trail.length + 1 : undefined,
    first: after === "" ? undefined : at("", []),
    previous: last !== undefined ? at(last, trail.slice(0, -1)) : undefined,
    next: value?.next ? at(value.next, [...trail, after]) : undefined,
    find: (query) => go(hrefOf(route.path, { search, status, ...query }), { replace: true }),
    reload,
  };
}

/** The pages before this one, from the first, or from where a link led into the middle. */
function readTrail(): readonly string[] {
  const { trail = [] } = (history.state ?? {}) as { trail?: readonly string[] };
  return trail;
}

/** What is other than at the last look at the same page. */
function useFresh<Row>(
  page: Page<Row> | undefined,
  place: string,
  keyOf: (row: Row) => string,
  stampOf: (row: Row) => string,
): ReadonlySet<string> {
  const seen = useRef<{ place: string; page?: Page<Row>; stamps: Map<string, string>; fresh: Set<string> }>({
    place: "",
    stamps: new Map(),
    fresh: new Set(),
  });
  if (page && seen.current.page !== page) {
    const before = seen.current.place === place ? seen.current.stamps : undefined;
    const stamps = new Map(page.items.map((row) => [keyOf(row), stampOf(row)]));
    const changed = before ? [...stamps].filter(([key, stamp]) => before.get(key) !== stamp) : [];
    seen.current = { place, page, stamps, fresh: new Set(changed.map(([key]) => key)) };
  }
  return seen.current.fresh;
}
