// How results and failures look: one JSON object for scripts, or lines for people; colours only on a terminal.

import { asMooringError, causeText, errorJson } from "../errors.ts";
import { isJournalStream } from "../system/journal-stream.ts";

export const printJson = (value: unknown): void =>
  void process.stdout.write(`${JSON.stringify(value, null, 2)}\n`);

export const printLine = (line = ""): void => void process.stdout.write(`${line}\n`);

/** Text from elsewhere, without what would move a terminal's cursor or change its colours. */
export const visible = (text: string): string =>
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  text.replaceAll(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g, "·");

const styles = {
  bold: [1, 22],
  dim: [2, 22],
  red: [31, 39],
  green: [32, 39],
  yellow: [33, 39],
  ink: ["30;107", "39;49"],
} as const;

/** Colours `text` when `stream` is a terminal and nobody objected (https://no-color.org). */
export function paint(
  style: keyof typeof styles,
  text: string,
  stream: { isTTY?: boolean } = process.stdout,
): string {
  if (!stream.isTTY || process.env["NO_COLOR"]) return text;
  const [on, off] = styles[style];
  return `\u001b[${on}m${text}\u001b[${off}m`;
}

/** Names and values in two aligned columns; absent values are left out. */
export function printFacts(facts: Readonly<Record<string, string | number | undefined>>): void {
  const shown = Object.entries(facts).filter(([, value]) => value !== undefined);
  const width = Math.max(...shown.map(([name]) => name.length));
  for (const [name, value] of shown)
    printLine(`${paint("dim", name.padEnd(width))}  ${visible(String(value))}`);
}

export type Row = readonly [name: string, text: string, style?: keyof typeof styles];

/** The same in groups, with colours. */
export function printRows(groups: readonly (readonly Row[])[]): void {
  const width = Math.max(...groups.flat().map(([name]) => name.length));
  for (const [index, rows] of groups.entries()) {
    if (index > 0) printLine();
    for (const [name, text, style] of rows)
      printLine(
        `${paint("dim", name.padEnd(width))}  ${style ? paint(style, visible(text)) : visible(text)}`,
      );
  }
}

/** Tells what failed, why, and what to do; answers with the exit code. A bug shows its stack only when asked. */
export function reportError(thrown: unknown, { json, verbose }: { json: boolean; verbose: boolean }): number {
  const error = asMooringError(thrown);
  // In one line, as it may end a stream of events.
  if (json) printLine(JSON.stringify({ error: errorJson(error) }));
  // The priority of sd-daemon(3): `journalctl -p err` then finds it.
  const priority = isJournalStream(process.stderr.fd) ? "<3>" : "";
  const say = (text: string): void => void process.stderr.write(`${text.replace(/^/gm, priority)}\n`);
  const { serviceErrorCode, trackingId, rc, problems } = error.details;
  say(`${paint("red", "mooring:", process.stderr)} ${error.code}: ${causeText(error)}`);
  for (const problem of problems ?? []) say(`  - ${problem}`);
  if (serviceErrorCode !== undefined)
    say(`  service errorCode ${serviceErrorCode}${trackingId ? `, tracking id ${trackingId}` : ""}`);
  if (rc !== undefined) say(`  TPM response code 0x${rc.toString(16).padStart(3, "0")}`);
  say(`  ${paint("bold", "next:", process.stderr)} ${error.hint}`);
  if (verbose) for (let at: unknown = error; at instanceof Error; at = at.cause) say(at.stack ?? String(at));
  return error.exitCode;
}
