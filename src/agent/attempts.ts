// attempts.json: the memory of attempts, kept over restarts and power cuts. What cannot be read is set aside, and a disk
// that keeps nothing holds nobody up.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { setAside } from "../assignment/quarantine.ts";
import { asMooringError, systemCode } from "../errors.ts";
import { writeAtomic } from "../system/atomic-file.ts";
import type { Log } from "../system/log.ts";
import { type Attempts, attemptsOn, type HistoryTools, type Shelf } from "./attempt-history.ts";
import { type AttemptRecord, decodeRecord, encodeRecord } from "./attempt-record.ts";

export interface AttemptTools extends HistoryTools {
  readonly log: Log;
  /** For those who only want to know: nothing is kept on disk. */
  readonly isReadOnly?: boolean;
}

/** The attempts of a state directory. Reading changes nothing on disk; never throws. */
export function openAttempts(stateDirectory: string, tools: AttemptTools): Attempts {
  return attemptsOn(diskShelf(stateDirectory, tools), tools);
}

/** Records by path that the disk did not take: newer than what is on it, for as long as this process lives. */
const unkept = new Map<string, AttemptRecord>();

/** No file, or one of somebody else's. A disk that fails just now says nothing about the content. */
const signsOfStrangers = ["EISDIR", "ELOOP", "EACCES", "EPERM", "EUCLEAN", "EBADMSG"];

function diskShelf(stateDirectory: string, { log, isReadOnly = false }: AttemptTools): Shelf {
  const path = join(stateDirectory, "attempts.json");
  /** Something is there that is no record; it is moved away before the first writing. */
  let isForeign = false;
  const readFromDisk = (): AttemptRecord | undefined => {
    try {
      const record = decodeRecord(readFileSync(path, "utf8"));
      isForeign = record === undefined;
      return record;
    } catch (error) {
      isForeign = signsOfStrangers.includes(systemCode(error) ?? "");
      return undefined;
    }
  };
  return {
    read: () => unkept.get(path) ?? readFromDisk(),
    write: (record) => {
      if (isReadOnly) return;
      try {
        if (isForeign) log.warn("attempts.quarantined", { path: setAside(stateDirectory, path) });
        isForeign = false;
        writeAtomic(path, encodeRecord(record), { mode: 0o600 });
        unkept.delete(path);
      } catch (error) {
        if (!unkept.has(path)) log.warn("attempts.not-kept", { error: asMooringError(error).message });
        unkept.set(path, record);
      }
    },
  };
}
