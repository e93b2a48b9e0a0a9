// `enrollment export`: all of them in a file that `import` takes.

import { resolve } from "node:path";
import { type Command, Option } from "commander";
import { exportRows, isComplete } from "../enrollment/export.ts";
import { type Format, formatOf } from "../enrollment/rows-file.ts";
import { writeAtomicPieces } from "../system/atomic-file.ts";
import { systemClock } from "../system/clock.ts";
import type { CommandKind } from "./enrollment-kind.ts";
import { paint, printJson, printLine } from "./output.ts";
import { openProgressBar } from "./progress-bar.ts";
import { type ServiceOptions, withServiceClient, withServiceOptions } from "./service-client.ts";

interface ExportOptions extends ServiceOptions {
  readonly format?: Format;
  readonly keys?: boolean;
}

export function addExport(command: Command, kind: CommandKind): void {
  withServiceOptions(command.argument("[file]", "where to; standard output without it"))
    .description(`write all ${kind.noun}s as a file that \`import\` takes`)
    .addOption(
      new Option("--format <format>", "default: by the file's name, else csv").choices(["csv", "json"]),
    )
    .option("--keys", "with their symmetric keys; the file is then for its owner alone")
    .addHelpText("after", exportHelp(kind))
    .action((file: string | undefined, options: ExportOptions) => run(file, options, kind));
}

const exportHelp = ({ command }: CommandKind): string => `
What is exported and imported again is as it was. Without --keys, an import lets the service make new symmetric
keys. A cell that a spreadsheet would take for a formula gets a ' in front, which an import takes off again.

Example, from one service to another:
  $ mooring ${command} export all.json --keys --service-file here
  $ mooring ${command} import all.json --service-file there`;

async function run(file: string | undefined, options: ExportOptions, kind: CommandKind): Promise<void> {
  const { keys = false } = options;
  const format = options.format ?? (file === undefined ? (options.json ? "json" : "csv") : formatOf(file));
  // Standard output is often the same terminal.
  const bar = file === undefined ? undefined : openProgressBar(undefined, { clock: systemClock });
  let rows = 0;
  const incomplete: string[] = [];
  await withServiceClient(
    options,
    async (client, { signal }) => {
      const pieces = exportRows({
        ...{ enrollments: kind.of(client), kind, format, keys, signal },
        onRow: (row) => {
          rows++;
          bar?.show(rows);
          if (!isComplete(row)) incomplete.push(kind.idOf(row));
        },
      });
      if (file === undefined) await toStandardOutput(pieces);
      else
        await writeAtomicPieces(resolve(file), pieces, { mode: keys ? 0o600 : 0o640, failure: "ERR_OUTPUT" });
    },
    {},
  ).finally(() => bar?.end());
  if (incomplete.length > 0) {
    const some = incomplete.slice(0, 5).join(", ");
    const text = `the service does not give back the certificates of ${incomplete.length} (${some}${incomplete.length > 5 ? ", …" : ""}); an import will ask for them`;
    process.stderr.write(`${paint("yellow", text, process.stderr)}\n`);
  }
  if (file === undefined) return;
  if (options.json) printJson({ file, rows, format, keys, incomplete });
  else printLine(`${rows} ${kind.noun}${rows === 1 ? "" : "s"} in ${file}`);
}

async function toStandardOutput(pieces: AsyncIterable<string>): Promise<void> {
  // Who reads may have seen enough.
  process.stdout.on("error", () => {});
  for await (const piece of pieces) {
    if (!process.stdout.writable) return;
    process.stdout.write(piece);
  }
}
