// The hubs that are linked to the service, and how many devices each of them has.

import type { DatabaseSync } from "node:sqlite";
import type { LinkedHub } from "./records.ts";
import { keyOf, type SmallTable, smallTable } from "./tables.ts";

export interface HubTable extends Omit<SmallTable<LinkedHub>, "page"> {
  /** Devices by lower-case host name, of hubs that are no longer linked as well. */
  deviceCounts(): ReadonlyMap<string, number>;
  /** How many enrollments and groups name this hub. */
  enrollmentsNaming(hostName: string): number;
}

export function hubTable(db: DatabaseSync): HubTable {
  const { page: _, ...rows } = smallTable<LinkedHub>(db, "hub", (row) => row.hostName);
  const counts = db.prepare("SELECT hub, count(*) AS devices FROM device GROUP BY hub");
  const naming = (["enrollment", "enrollment_group"] as const).map((name) =>
    // The plain search comes first, because it spares reading most documents as JSON.
    db.prepare(`
      SELECT count(*) AS found FROM ${name} WHERE instr(lower(document), $host) > 0 AND (
        lower(document ->> '$.iotHubHostName') = $host
        OR EXISTS (SELECT 1 FROM json_each(document, '$.iotHubs') WHERE lower(value) = $host))`),
  );
  return {
    ...rows,
    put(hub) {
      for (const { hostName, placeholder } of rows.all()) if (placeholder) rows.delete(hostName);
      rows.put(hub);
    },
    deviceCounts: () => new Map(counts.all().map(({ hub, devices }) => [hub as string, devices as number])),
    enrollmentsNaming: (hostName) =>
      naming.reduce((sum, each) => sum + Number(each.get({ $host: keyOf(hostName) })?.["found"]), 0),
  };
}
