// How far an import came, on disk after every bulk request: whoever is killed goes on there.

import {
  appendFileSync,
  closeSync,
  constants,
  fsyncSync,
  ftruncateSync,
  openSync,
  readFileSync,
} from "node:fs";
import { dirname, resolve } from "node:path";
import { MooringError, systemCode } from "../errors.ts";
import { removeFile, syncDirectory } from "../system/atomic-file.ts";

/** What an import is, so that a journal is not taken for that of another. */
export interface ImportSubject {
  readonly service: string;
  readonly plural: string;
  readonly sha256: string;
  readonly update: boolean;
}

export interface Tally {
  /** Rows that are dealt with, from the first. */
  readonly rows: number;
  readonly created: number;
  readonly updated: number;
  readonly alreadyThere: number;
}

export interface RefusedRow {
  readonly line: number;
  readonly id: string;
  readonly errorCode?: number;
  readonly reason: string;
}

export interface ImportJournal {
  /** Where the earlier import came to; undefined when there was none. */
  readonly before: { readonly tally: Tally; readonly refused: readonly RefusedRow[] } | undefined;
  /** On disk when it returns. */
  record(tally: Tally, refused: readonly RefusedRow[]): void;
  close(): void;
  /** For an import that came to its end. */
  remove(): void;
}

/**
 * Opens or makes the journal (mode 0600), one JSON object a line. Throws ERR_USAGE when it belongs to another import,
 * unless `restart`; ERR_OUTPUT when it cannot be written.
 */
export function openImportJournal(
  file: string,
  subject: ImportSubject,
  { restart }: { restart: boolean },
): ImportJournal {
  const kept = restart ? undefined : read(file);
  const head = JSON.stringify(subject);
  if (kept && kept.lines[0] !== head) {
    throw new MooringError(
      "ERR_USAGE",
      `${file} is the journal of another import: of another file content, service or option`,
      {
        path: file,
        hint: "finish that one as it was begun, or begin anew with --restart",
      },
    );
  }
  const entries = (kept?.lines ?? []).slice(1).map((line) => JSON.parse(line) as Entry);
  const tally = entries.at(-1)?.tally;
  return attempt(file, () => {
    const { O_RDWR, O_CREAT, O_APPEND, O_NOFOLLOW } = constants;
    const log = openSync(file, O_RDWR | O_CREAT | O_APPEND | O_NOFOLLOW, 0o600);
    // What a power cut left of the last line goes.
    ftruncateSync(log, kept?.bytes ?? 0);
    const append = (entry: string): void =>
      attempt(file, () => {
        appendFileSync(log, `${entry}\n`);
        fsyncSync(log);
      });
    if (!kept) {
      append(head);
      syncDirectory(dirname(resolve(file)));
    }
    return {
      before: tally && { tally, refused: entries.flatMap(({ refused }) => refused) },
      record: (tally, refused) => append(JSON.stringify({ tally, refused } satisfies Entry)),
      close: () => closeSync(log),
      remove: () => removeFile(resolve(file)),
    };
  });
}

interface Entry {
  readonly tally: Tally;
  readonly refused: readonly RefusedRow[];
}

/** The whole lines, and how many bytes they are; undefined when nothing was done. */
function read(file: string): { lines: string[]; bytes: number } | undefined {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    if (systemCode(error) === "ENOENT") return undefined;
    throw unwritable(file, error);
  }
  const whole = text.slice(0, text.lastIndexOf("\n") + 1);
  const lines = whole.trimEnd().split("\n");
  return lines.length < 2 ? undefined : { lines, bytes: Buffer.byteLength(whole) };
}

function attempt<Result>(file: string, act: () => Result): Result {
  try {
    return act();
  } catch (error) {
    throw unwritable(file, error);
  }
}

const unwritable = (file: string, cause: unknown): MooringError =>
  cause instanceof MooringError
    ? cause
    : new MooringError("ERR_OUTPUT", `cannot keep the journal of the import in ${file}`, {
        cause,
        path: file,
        hint: "name another place for it with --journal",
      });
