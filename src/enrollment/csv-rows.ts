// The records of a CSV file one by one, as spreadsheets of any country save it: comma, semicolon or tab, quotes or none.

import { Readable } from "node:stream";
import { CsvError, parse } from "csv-parse";
import { columnsOf, setMember } from "./columns.ts";
import type { Kind } from "./kind.ts";
import type { RowProblem } from "./row-shape.ts";
import type { SourceRow } from "./rows-file.ts";

/** More than two certificates and a twin that DPS would take. */
const longestRow = 1024 * 1024;

type Column = ReturnType<typeof columnsOf>[number];

/** Throws SyntaxError, with the line, for a broken quote and for a header that has unknown or repeated columns. */
export async function* csvRows(chunks: AsyncIterable<string>, kind: Kind): AsyncGenerator<SourceRow> {
  const { delimiter, whole } = await findDelimiter(chunks);
  const parser = parse({
    delimiter,
    info: true,
    relax_column_count: true,
    skip_empty_lines: true,
    max_record_size: longestRow,
  });
  const source = Readable.from(whole);
  // What fails while the file is read ends the rows as well.
  source.once("error", (error) => parser.destroy(error));
  source.pipe(parser);
  let header: readonly Column[] | undefined;
  try {
    for await (const { record: cells, info } of parser as AsyncIterable<Parsed>) {
      if (header === undefined) header = readHeader(cells, kind);
      else yield row(cells, info.lines, header);
    }
    if (header === undefined) throw new SyntaxError("line 1: there is no header");
  } catch (error) {
    throw error instanceof CsvError ? new SyntaxError(`line ${error["lines"]}: ${error.message}`) : error;
  } finally {
    source.destroy();
  }
}

interface Parsed {
  readonly record: string[];
  readonly info: { readonly lines: number };
}

/** The header decides: column names have none of them. */
async function findDelimiter(
  chunks: AsyncIterable<string>,
): Promise<{ delimiter: string; whole: AsyncIterable<string> }> {
  const iterator = chunks[Symbol.asyncIterator]();
  let head = "";
  while (!head.includes("\n") && head.length < longestRow) {
    const { done, value } = await iterator.next();
    if (done) break;
    head += value;
  }
  const [line = ""] = head.split("\n", 1);
  const delimiter = [";", "\t"].find((each) => line.includes(each)) ?? ",";
  const whole = async function* (): AsyncGenerator<string> {
    yield head;
    yield* { [Symbol.asyncIterator]: () => iterator };
  };
  return { delimiter, whole: whole() };
}

function readHeader(cells: readonly string[], kind: Kind): Column[] {
  const known = columnsOf(kind);
  const names = cells.map((cell) =>
    cell
      .trim()
      .toLowerCase()
      .replaceAll(/[\s-]+/g, "_"),
  );
  const unknown = names.filter((name) => !known.some((column) => column.name === name));
  if (unknown.length > 0) {
    const columns = known.map(({ name }) => name).join(", ");
    throw new SyntaxError(
      `line 1: no column is called ${unknown.map((name) => JSON.stringify(name)).join(", ")}; there are ${columns}`,
    );
  }
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined) throw new SyntaxError(`line 1: the column ${twice} is there twice`);
  const [id] = known;
  if (id !== undefined && !names.includes(id.name))
    throw new SyntaxError(`line 1: the column ${id.name} is missing`);
  return names.map((name) => known.find((column) => column.name === name) as Column);
}

function row(cells: readonly string[], lastLine: number, header: readonly Column[]): SourceRow {
  const line = lastLine - cells.reduce((sum, cell) => sum + cell.split("\n").length - 1, 0);
  const problems: RowProblem[] = [];
  if (cells.length > header.length)
    problems.push({ member: "", problem: `${cells.length} cells, and the header has ${header.length}` });
  const record: Record<string, unknown> = {};
  header.forEach((column, index) => {
    try {
      setMember(record, column, cells[index] ?? "");
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error;
      problems.push({ member: column.member, problem: error.message });
    }
  });
  return { line, record: withType(record), problems };
}

/** What is filled in says how the device proves itself, where the column does not. */
function withType(record: Record<string, unknown>): Record<string, unknown> {
  const attestation = record["attestation"] as Record<string, unknown> | undefined;
  if (attestation === undefined || attestation["type"] !== undefined) return record;
  const [only, ...others] = Object.keys(attestation);
  return others.length > 0 ? record : { ...record, attestation: { type: only, ...attestation } };
}
