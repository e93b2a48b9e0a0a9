// What an import did and left undone, in words, and as a file for whoever mends it: CSV for a spreadsheet, JSON for a
// program.

import { resolve } from "node:path";
import { stringify } from "csv-stringify/sync";
import { guard } from "../enrollment/columns.ts";
import type { Imported } from "../enrollment/import.ts";
import { type CheckedFile, formatOf } from "../enrollment/rows-file.ts";
import { MooringError } from "../errors.ts";
import { writeAtomic } from "../system/atomic-file.ts";
import { paint, visible } from "./output.ts";

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

export const countedRows = (rows: number): string => `${rows} ${rows === 1 ? "row" : "rows"}`;

/** Why a file with mistakes is not sent; the report, if one is wanted, has all of them. */
export function refuseFile(
  file: string,
  { rows, findings }: CheckedFile,
  report: string | undefined,
): MooringError {
  const mistakes = findings.map(({ line, id = "", problem }) => ({ line, id, reason: problem }));
  if (report !== undefined)
    writeReport(report, { file, rows, created: 0, updated: 0, alreadyThere: 0, refused: mistakes });
  const many = mistakes.length === 1 ? "a mistake" : `${mistakes.length} mistakes`;
  return new MooringError("ERR_IMPORT_INVALID", `${file} has ${many} in ${countedRows(rows)}`, {
    path: file,
    problems: listed(mistakes),
  });
}

/** What the service refused. */
export const partly = (file: string, { rows, refused }: Imported): MooringError =>
  new MooringError(
    "ERR_IMPORT_PARTIAL",
    `${refused.length} of ${countedRows(rows)} of ${file} were refused`,
    { path: file, problems: listed(refused) },
  );

/** As many are listed. */
const mostListed = 100;

function listed(all: readonly { line: number; id: string; reason: string }[]): string[] {
  const some = all
    .slice(0, mostListed)
    .map(({ line, id, reason }) => visible(`line ${line}${id === "" ? "" : ` (${id})`}: ${reason}`));
  const more = all.length - some.length;
  return more > 0 ? [...some, `and ${more} more; --report FILE lists them all`] : some;
}

/** One line for people. */
export function summaryOf(file: string, { rows, created, updated, alreadyThere, refused }: Imported): string {
  const parts = [
    `${created} created`,
    ...(updated > 0 ? [`${updated} updated`] : []),
    ...(alreadyThere > 0 ? [`${alreadyThere} there already`] : []),
    ...(refused.length > 0 ? [`${refused.length} refused`] : []),
  ];
  const text = `${file}: ${countedRows(rows)}: ${parts.join(", ")}`;
  return refused.length > 0 ? text : paint("green", text);
}
