// `enrollment import`: a whole file checked first, then sent ten by ten, with every row accounted for.

import type { Command } from "commander";
import { columnsOf } from "../enrollment/columns.ts";
import { type Imported, importRows } from "../enrollment/import.ts";
import { openImportJournal } from "../enrollment/import-journal.ts";
import { type CheckedFile, checkFile, readRows } from "../enrollment/rows-file.ts";
import { asMooringError, MooringError } from "../errors.ts";
import { systemClock } from "../system/clock.ts";
import type { CommandKind } from "./enrollment-kind.ts";
import { countedRows, partly, refuseFile, summaryOf, writeReport } from "./import-report.ts";
import { paint, printJson, printLine, reportError } from "./output.ts";
import { openProgressBar } from "./progress-bar.ts";
import { type ServiceOptions, withServiceClient, withServiceOptions } from "./service-client.ts";

interface ImportOptions extends ServiceOptions {
  readonly dryRun?: boolean;
  readonly update?: boolean;
  readonly report?: string;
  readonly journal?: string;
  readonly restart?: boolean;
}

export function addImport(command: Command, kind: CommandKind): void {
  withServiceOptions(
    command.argument("<file>", "CSV, or JSON when its name ends in .json, .jsonl or .ndjson"),
  )
    .description(`create many ${kind.noun}s from a file`)
    .option("--dry-run", "check the file, and send nothing")
    .option("--update", "change those that are there and differ; never how they prove themselves")
    .option("--report <file>", "write what was refused and why, as CSV or .json")
    .option("--journal <file>", "where it remembers how far it came (default: FILE.journal)")
    .option("--restart", "forget how far an earlier import of this file came")
    .addHelpText("after", importHelp(kind))
    .action((file: string, options: ImportOptions) => run(file, options, kind));
}

const importHelp = (kind: CommandKind): string => `
The file is read whole before anything is sent; with a mistake in it, all are listed with their lines and nothing
is sent. A busy service is waited for. An import that was stopped or killed goes on where it was when the same
command is run again; rows that are in the service already, just as the file has them, are left alone.
Exits 0 when every row is there, 65 for a file with mistakes, 73 when the service refused some rows.

CSV has a header, in UTF-8, with commas, semicolons or tabs. Its columns, of which only the first is needed:
${columnsOf(kind)
  .map(({ name, holds }) => `  ${name.padEnd(24)}${holds}`)
  .join("\n")}
JSON is a list of records as the service API has them, or one record after the other.

Example:
  $ mooring ${kind.command} import batch-17.csv --dry-run
  $ mooring ${kind.command} import batch-17.csv --report refused.csv --service-file dps/connection-string`;

async function run(file: string, options: ImportOptions, kind: CommandKind): Promise<void> {
  const checked = await checkFile(file, kind);
  if (checked.findings.length > 0) throw refuseFile(file, checked, options.report);
  if (options.dryRun) {
    if (options.json) printJson({ file, rows: checked.rows, dryRun: true });
    else printLine(paint("green", `${file} is right: ${countedRows(checked.rows)}. Nothing was sent.`));
    return;
  }
  const done = await send(file, checked, options, kind);
  if (options.json) printJson({ file, ...done });
  else printLine(summaryOf(file, done));
  if (done.refused.length > 0)
    process.exitCode = reportError(partly(file, done), { json: false, verbose: false });
}

async function send(
  file: string,
  checked: CheckedFile,
  options: ImportOptions,
  kind: CommandKind,
): Promise<Imported> {
  const { rows, sha256 } = checked;
  const bar = openProgressBar(rows, { clock: systemClock });
  let came = 0;
  let note = "";
  try {
    return await withServiceClient(
      options,
      async (client, { signal }) => {
        const { update = false, restart = false } = options;
        const subject = { service: client.host, plural: kind.plural, sha256, update };
        const journal = openImportJournal(options.journal ?? `${file}.journal`, subject, { restart });
        came = journal.before?.tally.rows ?? 0;
        if (came > 0)
          process.stderr.write(`continuing after row ${came} of ${rows}, where the last import stopped\n`);
        try {
          const done = await importRows({
            ...{ enrollments: kind.of(client), kind, journal, update, signal },
            rows: readRows(file, kind, checked),
            onProgress: (tally, refused) => {
              came = tally.rows;
              note = refused > 0 ? `${refused} refused` : "";
              bar.show(came, note);
            },
          });
          // The report first: without it, the journal still knows what was refused.
          if (options.report !== undefined) writeReport(options.report, { file, ...done });
          journal.remove();
          return done;
        } finally {
          if (came === 0) journal.remove();
          journal.close();
        }
      },
      {
        onWait: (waitMs, { code }) =>
          bar.show(came, `${note} ${code}, waiting ${(waitMs / 1000).toFixed(0)} s`),
      },
    );
  } catch (error) {
    throw interrupted(error, came, rows);
  } finally {
    bar.end();
  }
}

/** What stopped it, and that nothing of it is lost. A service that could not be reached at all needs other words. */
function interrupted(thrown: unknown, came: number, rows: number): MooringError {
  const error = asMooringError(thrown);
  if (came === 0 && error.code !== "ERR_CANCELLED") return error;
  return new MooringError(error.code, `the import stopped after row ${came} of ${rows}`, {
    ...error.details,
    cause: error,
    hint: "run the same command again: it goes on from there",
  });
}
