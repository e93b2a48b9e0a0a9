// What an import left undone, as a file for whoever mends it: CSV for a spreadsheet, JSON for a program.

import { resolve } from "node:path";
import { stringify } from "csv-stringify/sync";
import { guard } from "../enrollment/columns.ts";
import type { Imported } from "../enrollment/import.ts";
import { formatOf } from "../enrollment/rows-file.ts";
import { writeAtomic } from "../system/atomic-file.ts";

/** Throws ERR_OUTPUT or ERR_STATE_FULL. */
export function writeReport(file: string, report: Imported & { readonly file: string }): void {
  const text = formatOf(file) === "json" ? `${JSON.stringify(report, null, 2)}\n` : csv(report);
  writeAtomic(resolve(file), text, { mode: 0o640, failure: "ERR_OUTPUT" });
}

const csv = ({ refused }: Imported): string =>
  stringify([
    ["line", "id", "error_code", "reason"],
    ...refused.map(({ line, id, errorCode, reason }) => [line, guard(id), errorCode ?? "", guard(reason)]),
  ]);
