// The service at a glance, for a page that shows it and for scripts: what there is, who registered lately, and lists
// in which one can search.

import * as v from "valibot";
import { groupKind, individualKind } from "./enrollment-kind.ts";
import { enrollmentView } from "./enrollment-view.ts";
import { readInput } from "./json-input.ts";
import type { OperatorApiOptions, OperatorRoute } from "./operator-api.ts";
import type { EnrollmentGroup } from "./records.ts";
import { mostMinutes } from "./registration-minutes.ts";
import { findRegistration, registrationView } from "./registration-view.ts";
import type { Search } from "./search.ts";
import { azureTime } from "./stamps.ts";
import type { Store } from "./store.ts";
import { keyOf } from "./tables.ts";

export function overviewRoutes(route: OperatorRoute, { store }: OperatorApiOptions): void {
  const anyRead = ["EnrollmentRead", "RegistrationStatusRead", "ServiceConfig"] as const;
  route("GET", "/mooring/overview", anyRead, () => ({
    idScope: store.idScope,
    enrollments: store.enrollments.count(),
    enrollmentGroups: store.enrollmentGroups.all().length,
    registrations: store.registrations.count(),
    hubs: store.hubs.all().length,
    scenarios: store.scenarios.all().length,
  }));

  route("GET", "/mooring/statistics", "RegistrationStatusRead", ({ request, now }) => {
    const { minutes } = readInput(statisticsQuery, request.query);
    return { registrations: perMinute(store, { minutes, now }), hubs: devicesPerHub(store) };
  });

  const list = listing(route);
  list("/mooring/enrollments", "EnrollmentRead", {
    search: store.enrollments.search,
    idOf: individualKind.idOf,
    view: (row) => enrollmentView(row, store),
  });
  list("/mooring/enrollmentGroups", "EnrollmentRead", {
    search: (search) => searchGroups(store.enrollmentGroups.all(), search),
    idOf: groupKind.idOf,
    view: (row) => enrollmentView(row, store),
  });
  list("/mooring/registrations", "RegistrationStatusRead", {
    search: store.registrations.search,
    idOf: (row) => row.registrationId,
    view: registrationView,
  });
  route("GET", "/mooring/registrations/:id", "RegistrationStatusRead", ({ id }) =>
    registrationView(findRegistration(store, id)),
  );
}

const wholeNumber = (least: number, most: number, otherwise: number) =>
  v.optional(
    v.pipe(
      v.string(),
      v.regex(/^\d{1,6}$/, "not a whole number"),
      v.transform(Number),
      v.minValue(least, `less than ${least}`),
      v.maxValue(most, `more than ${most}`),
    ),
    String(otherwise),
  );

const statisticsQuery = v.object({ minutes: wholeNumber(1, mostMinutes, 60) });

/** One entry a minute, the present one last; `at` is when it began. */
function perMinute(store: Store, { minutes, now }: { minutes: number; now: number }): unknown[] {
  const first = Math.floor(now / 60_000) - minutes + 1;
  const known = new Map(store.registrationMinutes.since(first).map((each) => [each.minute, each]));
  return Array.from({ length: minutes }, (_, at) => {
    const { assigned, failed } = known.get(first + at) ?? { assigned: 0, failed: 0 };
    return { at: azureTime((first + at) * 60_000), assigned, failed };
  });
}

/** Hubs that are no longer linked are there as long as they have devices. */
function devicesPerHub({ hubs }: Store): unknown[] {
  const counts = new Map(hubs.deviceCounts());
  const linked = hubs.all().map(({ hostName }) => ({ hostName, devices: counts.get(keyOf(hostName)) ?? 0 }));
  for (const { hostName } of linked) counts.delete(keyOf(hostName));
  return [...linked, ...[...counts].map(([hostName, devices]) => ({ hostName, devices }))];
}

const text = v.pipe(v.string(), v.maxLength(128, "longer than any id"));
const listQuery = v.object({
  search: v.optional(text),
  status: v.optional(text),
  after: v.optional(text),
  limit: wholeNumber(1, 1000, 100),
});

interface List<Row> {
  search(search: Search): Row[];
  idOf(row: Row): string;
  view(row: Row): unknown;
}

/** `{ items, next? }`: `next` is what `after` has to be for the page behind this one. */
const listing =
  (route: OperatorRoute) =>
  <Row>(path: string, permission: "EnrollmentRead" | "RegistrationStatusRead", list: List<Row>): void =>
    route("GET", path, permission, ({ request }) => {
      const { search, status, after, limit } = readInput(listQuery, request.query);
      // One row more than asked for tells whether there is another page.
      const rows = list.search({
        limit: limit + 1,
        ...(search && { text: search.trim() }),
        ...(status && { status }),
        ...(after && { after }),
      });
      const shown = rows.slice(0, limit);
      const last = shown.at(-1);
      const next = rows.length > limit && last !== undefined && { next: list.idOf(last) };
      return { items: shown.map(list.view), ...next };
    });

/** They are few, and in memory. */
function searchGroups(
  groups: readonly EnrollmentGroup[],
  { text = "", status, after = "", limit }: Search,
): EnrollmentGroup[] {
  const found = groups.filter(({ enrollmentGroupId, provisioningStatus }) => {
    const key = keyOf(enrollmentGroupId);
    const matches = key.includes(keyOf(text)) && (status === undefined || provisioningStatus === status);
    return matches && (after === "" || key > keyOf(after));
  });
  return found.slice(0, limit);
}
