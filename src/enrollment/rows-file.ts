// A file of enrollments, CSV or JSON, row by row: what to send, or what is wrong with the row and on which line.

import { createHash, type Hash } from "node:crypto";
import { createReadStream, statSync } from "node:fs";
import { MooringError } from "../errors.ts";
import { columnsOf } from "./columns.ts";
import { csvRows } from "./csv-rows.ts";
import { jsonRows } from "./json-rows.ts";
import type { Kind } from "./kind.ts";
import type { AnyEnrollment } from "./record.ts";
import { checkRow } from "./row-check.ts";
import type { RowProblem } from "./row-shape.ts";

/** A row as it stands in the file. Lines count from 1, where the row begins. */
export interface SourceRow {
  readonly line: number;
  readonly record?: Record<string, unknown>;
  readonly problems: readonly RowProblem[];
}

export interface FileRow {
  readonly line: number;
  readonly row: AnyEnrollment;
}

export interface Finding {
  readonly line: number;
  /** As far as it could be read. */
  readonly id?: string;
  readonly problem: string;
}

export type Format = "csv" | "json";

export const formatOf = (file: string): Format => (/\.(json|jsonl|ndjson)$/i.test(file) ? "json" : "csv");

export interface CheckedFile {
  readonly rows: number;
  /** Of the file's bytes, hex. */
  readonly sha256: string;
  readonly findings: readonly Finding[];
}

/**
 * Reads the whole file once and finds all that is wrong with it, ids that are there twice included. Throws ERR_INPUT for
 * what cannot be read, ERR_USAGE for what cannot be read twice.
 */
export async function checkFile(file: string, kind: Kind): Promise<CheckedFile> {
  if (statSync(file, { throwIfNoEntry: false })?.isFile() === false) {
    throw new MooringError("ERR_USAGE", `${file} is no regular file, and is to be read twice`, {
      path: file,
    });
  }
  const hash = createHash("sha256");
  const findings: Finding[] = [];
  const lineOf = new Map<string, number>();
  let rows = 0;
  try {
    for await (const source of sourceRows(file, kind, hash)) {
      rows++;
      const { line } = source;
      const found = findingsOf(source, kind, formatOf(file));
      const key = idOf(source, kind)?.toLowerCase();
      const before = key === undefined ? undefined : lineOf.get(key);
      if (before !== undefined) found.push(`${kind.noun} ${idOf(source, kind)} is on line ${before} already`);
      else if (key !== undefined) lineOf.set(key, line);
      const id = idOf(source, kind);
      for (const problem of found) findings.push({ line, ...(id !== undefined && { id }), problem });
    }
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    const [, line = "1", problem = error.message] = /^line (\d+): (.+)$/s.exec(error.message) ?? [];
    findings.push({ line: Number(line), problem });
  }
  return { rows, sha256: hash.digest("hex"), findings };
}

/**
 * The rows of a file that `checkFile` found nothing wrong with. Throws ERR_IMPORT_INVALID when it changed since, at the
 * latest behind the last row.
 */
export async function* readRows(file: string, kind: Kind, { sha256 }: CheckedFile): AsyncGenerator<FileRow> {
  const hash = createHash("sha256");
  const changed = (cause?: unknown): MooringError =>
    new MooringError("ERR_IMPORT_INVALID", `${file} changed while it was imported`, {
      cause,
      path: file,
      hint: "compare what is there with the file: `mooring enrollment export`",
    });
  try {
    for await (const { line, record } of sourceRows(file, kind, hash)) {
      const { row } = checkRow(record, kind);
      if (!row) throw changed();
      yield { line, row };
    }
  } catch (error) {
    throw error instanceof SyntaxError ? changed(error) : error;
  }
  if (hash.digest("hex") !== sha256) throw changed();
}

function findingsOf(source: SourceRow, kind: Kind, format: Format): string[] {
  const checked = source.problems.length > 0 || !source.record ? source : checkRow(source.record, kind);
  return (checked.problems ?? []).map(({ member, problem }) => {
    const name = format === "csv" ? columnName(member, kind) : member;
    return name === "" ? problem : `${name}: ${problem}`;
  });
}

/** What a member, or the member that it is part of, is called in a spreadsheet. */
function columnName(member: string, kind: Kind): string {
  const column = columnsOf(kind).find(
    (each) => member === each.member || member.startsWith(`${each.member}.`),
  );
  return column ? column.name + member.slice(column.member.length) : member;
}

function idOf({ record }: SourceRow, { idMember }: Kind): string | undefined {
  const id = record?.[idMember];
  return typeof id === "string" ? id : undefined;
}

function sourceRows(file: string, kind: Kind, hash?: Hash): AsyncGenerator<SourceRow> {
  const chunks = textOf(file, hash);
  return formatOf(file) === "json" ? jsonRows(chunks) : csvRows(chunks, kind);
}

/** UTF-8, with or without a mark in front. Throws ERR_INPUT when it cannot be read, SyntaxError when it is not UTF-8. */
async function* textOf(file: string, hash?: Hash): AsyncGenerator<string> {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  let line = 1;
  const decode = (bytes?: Buffer): string => {
    try {
      return decoder.decode(bytes, { stream: bytes !== undefined });
    } catch {
      throw new SyntaxError(`line ${line}: not UTF-8 from here on; save the file as CSV UTF-8`);
    }
  };
  const stream = createReadStream(file, { highWaterMark: 256 * 1024 });
  try {
    for await (const bytes of stream as AsyncIterable<Buffer>) {
      hash?.update(bytes);
      const text = decode(bytes);
      yield text;
      line += text.split("\n").length - 1;
    }
  } catch (cause) {
    if (cause instanceof SyntaxError) throw cause;
    throw new MooringError("ERR_INPUT", `cannot read ${file}`, { cause, path: file });
  }
  yield decode();
}
