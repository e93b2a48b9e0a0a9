// How commands show many rows: a table for people, a JSON array for scripts, either as the rows come; or, with --watch,
// again and again.

import { type Command, InvalidArgumentError } from "commander";
import type { Clock } from "../system/clock.ts";
import { paint, printLine } from "./output.ts";
import { openTable } from "./table.ts";

export interface ListOptions {
  readonly json?: boolean;
  /** Seconds between two looks. */
  readonly watch?: number | true;
  readonly search?: string;
}

/** What a list is of. */
export interface Listing<Row> {
  readonly heading: readonly string[];
  readonly cells: (row: Row) => readonly string[];
  readonly idOf: (row: Row) => string;
  readonly read: () => AsyncIterable<Row>;
}

interface Tools {
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

const defaultSeconds = 2;

export const withListOptions = (command: Command): Command =>
  command
    .option("--search <text>", "only those whose id contains this, in any case")
    .option(
      "--watch [seconds]",
      `look again every so often (default: ${defaultSeconds}); Ctrl-C ends it`,
      seconds,
    );

function seconds(text: string): number {
  const value = Number(text);
  if (value > 0 && value <= 3600) return value;
  throw new InvalidArgumentError("It must be a number of seconds, up to 3600.");
}

export async function printListing<Row>(
  listing: Listing<Row>,
  options: ListOptions,
  tools: Tools,
): Promise<void> {
  // Who reads may have seen enough, as `head` does.
  process.stdout.on("error", () => {});
  const found = { ...listing, read: () => matching(listing, options.search) };
  if (options.watch !== undefined) await watch(found, options, tools);
  else if (options.json) await printArray(found.read());
  else await printTable(found);
}

async function* matching<Row>({ read, idOf }: Listing<Row>, search = ""): AsyncGenerator<Row> {
  const wanted = search.toLowerCase();
  for await (const row of read()) {
    if (!process.stdout.writable) return;
    if (idOf(row).toLowerCase().includes(wanted)) yield row;
  }
}

async function printArray<Row>(rows: AsyncIterable<Row>): Promise<void> {
  let first = true;
  for await (const row of rows) {
    process.stdout.write(`${first ? "[" : ","}\n${JSON.stringify(row, null, 2).replace(/^/gm, "  ")}`);
    first = false;
  }
  printLine(first ? "[]" : "\n]");
}

/** As many rows decide together how wide their columns are. */
const blockRows = 200;

async function printTable<Row>({ heading, cells, read }: Listing<Row>): Promise<void> {
  const table = openTable(heading);
  let block: (readonly string[])[] = [];
  for await (const row of read()) {
    block.push(cells(row));
    if (block.length < blockRows) continue;
    table.add(block);
    block = [];
  }
  table.add(block);
}

async function watch<Row>(
  listing: Listing<Row>,
  options: ListOptions,
  { clock, signal }: Tools,
): Promise<void> {
  const intervalMs = (typeof options.watch === "number" ? options.watch : defaultSeconds) * 1000;
  const draw = process.stdout.isTTY && !options.json ? screen(listing) : changes(listing);
  try {
    while (process.stdout.writable) {
      await draw();
      await clock.sleep(intervalMs, { signal });
    }
  } catch (error) {
    // To be stopped is how this ends.
    if (!signal.aborted) throw error;
  }
}

const clearScreen = "\u001b[H\u001b[2J\u001b[3J";

/** As many rows as the terminal has lines, drawn in one write. */
function screen<Row>({ heading, cells, read }: Listing<Row>): () => Promise<void> {
  return async () => {
    const most = Math.max(1, (process.stdout.rows || 24) - 3);
    const shown: (readonly string[])[] = [];
    let count = 0;
    for await (const row of read()) {
      count++;
      if (shown.length < most) shown.push(cells(row));
    }
    const lines: string[] = [];
    openTable(heading, { print: (line) => lines.push(line) }).add(shown);
    const rest = count > shown.length ? `… and ${count - shown.length} more · ` : "";
    const time = new Date().toTimeString().slice(0, 8);
    lines.push(paint("dim", `${rest}${count} in all · ${time} · Ctrl-C ends`));
    process.stdout.write(`${clearScreen}${lines.join("\n")}\n`);
  };
}

/** What is new, other or gone since the last look, one JSON object a line; at first everything is new. */
function changes<Row>({ idOf, read }: Listing<Row>): () => Promise<void> {
  let before = new Map<string, string>();
  return async () => {
    const now = new Map<string, string>();
    for await (const row of read()) {
      const [id, text] = [idOf(row), JSON.stringify(row)];
      now.set(id, text);
      if (before.get(id) === text) continue;
      printLine(
        `{"event":"${before.has(id) ? "changed" : "added"}","id":${JSON.stringify(id)},"row":${text}}`,
      );
    }
    for (const id of before.keys())
      if (!now.has(id)) printLine(`{"event":"removed","id":${JSON.stringify(id)}}`);
    before = now;
  };
}
