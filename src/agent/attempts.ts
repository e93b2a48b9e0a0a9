// attempts.json: the memory of attempts, kept over restarts and power cuts. What cannot be read is set aside, and a disk
// that keeps nothing holds nobody up.

import { join } from "node:path";
import { setAside } from "../assignment/quarantine.ts";
import { asMooringError, systemCode } from "../errors.ts";
import { writeAtomic } from "../system/atomic-file.ts";
import type { Log } from "../system/log.ts";
import { readRegularFile } from "../system/regular-file.ts";
import { type Attempts, attemptsOn, type HistoryTools, type Shelf } from "./attempt-history.ts";
import { type AttemptRecord, decodeRecord, encodeRecord, standsFor } from "./attempt-record.ts";

export interface AttemptTools extends HistoryTools {
  readonly log: Log;
  /** For those who only want to know: nothing is kept on disk. */
  readonly isReadOnly?: boolean;
}

/** The attempts of a state directory. Reading changes nothing on disk; never throws. */
export function openAttempts(stateDirectory: string, tools: AttemptTools): Attempts {
  return attemptsOn(diskShelf(stateDirectory, tools), tools);
}

interface Unkept {
  readonly record: AttemptRecord;
  /** What is on disk in its place; when somebody else has written since, theirs counts. Absent: the disk took nothing. */
  readonly over?: string;
}

/** By path, for as long as this process lives: records that are newer than what is on disk. */
const unkept = new Map<string, Unkept>();

/** No file, or one of somebody else's. A disk that fails just now says nothing about the content. */
const signsOfStrangers = ["EISDIR", "ELOOP", "EACCES", "EPERM", "EUCLEAN", "EBADMSG"];

function diskShelf(stateDirectory: string, { log, isReadOnly = false }: AttemptTools): Shelf {
  const path = join(stateDirectory, "attempts.json");
  /** Something is there that is no record; it is moved away before the first writing. */
  let isForeign = false;

  function readFromDisk(): { content?: string; record?: AttemptRecord | undefined } {
    try {
      const content = readRegularFile(path)?.toString();
      const record = content === undefined ? undefined : decodeRecord(content);
      isForeign = record === undefined;
      return { ...(content !== undefined && { content }), record };
    } catch (error) {
      isForeign = signsOfStrangers.includes(systemCode(error) ?? "");
      return {};
    }
  }

  function read(): AttemptRecord | undefined {
    const { content, record } = readFromDisk();
    const newer = unkept.get(path);
    return newer && (newer.over === undefined || newer.over === content) ? newer.record : record;
  }

  function write(record: AttemptRecord): void {
    if (isReadOnly) return;
    const { content, record: kept } = readFromDisk();
    if (content !== undefined && kept && standsFor(kept, record)) {
      unkept.set(path, { record, over: content });
      return;
    }
    try {
      if (isForeign) log.warn("attempts.quarantined", { path: setAside(stateDirectory, path) });
      writeAtomic(path, encodeRecord(record), { mode: 0o600 });
      unkept.delete(path);
    } catch (error) {
      if (unkept.get(path)?.over !== undefined || !unkept.has(path))
        log.warn("attempts.not-kept", { error: asMooringError(error).message });
      unkept.set(path, { record });
    }
  }

  return { read, write };
}
