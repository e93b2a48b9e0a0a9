// The assignment on disk, in generations: a new one is staged beside the current one, verified by reading it back,
// and promoted by one atomic flip of the link `current`. All that Mooring keeps goes through this door.

import * as fs from "node:fs";
import { dirname, join } from "node:path";
import { MooringError } from "../errors.ts";
import { removeFile, syncDirectory, writeAtomic } from "../system/atomic-file.ts";
import { makeDirectories } from "../system/directories.ts";
import type { Log } from "../system/log.ts";
import { type Assignment, encodeAssignment } from "./assignment.ts";
import {
  directoryOf,
  generationsIn,
  linkCurrent,
  linkedNumber,
  makeDirectory,
  nameOf,
  numbersIn,
  onDisk,
} from "./layout.ts";
import { holdsGeneration } from "./quarantine.ts";
import { isHeldByNewer, newestGood, repair } from "./recovery.ts";
import { type Generation, readFiles, readGeneration, type Staged } from "./stored.ts";

export type { Generation, Staged } from "./stored.ts";

/**
 * Creates the state directory (0711: outputs may lie in it, for others to read) and its parts where they are missing, and
 * makes sure that they can be written to: the service must not be asked for what cannot be kept. Throws
 * ERR_STATE_DIRECTORY, ERR_STATE_FULL.
 */
export function prepareState(stateDirectory: string): void {
  onDisk("create", stateDirectory, () => {
    makeDirectories(dirname(stateDirectory));
    makeDirectory(stateDirectory, 0o711);
    makeDirectory(generationsIn(stateDirectory), 0o700);
  });
  onDisk("write in", stateDirectory, () => {
    for (const directory of [stateDirectory, generationsIn(stateDirectory)])
      fs.accessSync(directory, fs.constants.W_OK);
  });
  onDisk("write in", stateDirectory, () => requireRoom(stateDirectory));
}

/** For a generation, the record of an attempt, and what stands beside either while it is replaced. */
const room = { bytes: 16 << 10, files: 6 };

/** File systems that do not count say zero of everything. */
function requireRoom(stateDirectory: string): void {
  const { blocks, bfree, bavail, bsize, files, ffree } = fs.statfsSync(stateDirectory);
  const bytes = (process.geteuid?.() === 0 ? bfree : bavail) * bsize;
  const what =
    blocks > 0 && bytes < room.bytes
      ? `${bytes} bytes`
      : files > 0 && ffree < room.files
        ? `${ffree} files`
        : "";
  if (!what) return;
  throw new MooringError("ERR_STATE_FULL", `there is room for only ${what} more in ${stateDirectory}`, {
    path: stateDirectory,
  });
}

/**
 * The current generation, or the newest good one before it. Undefined when there is none, or none any more: what was
 * damaged is then in `quarantine/`, and the log says so. Repairs need the lock; while another process holds it, or
 * the disk is read-only, they wait. Throws ERR_STATE_DIRECTORY when the state cannot be read, ERR_STATE_CORRUPT when
 * no generation is good and nothing could be repaired.
 */
export function loadCurrent(stateDirectory: string, { log }: { log: Log }): Generation | undefined {
  const found = newestGood(stateDirectory);
  const { linked, good, unusable } = found;
  if (unusable.length === 0 && good?.number === linked) return good;

  const isKnown = isHeldByNewer(found) && !tellOnce(`${stateDirectory} ${linked} ${good?.number}`);
  if (isKnown) return good;
  for (const { number, why } of unusable) log.warn("state.unusable", { generation: number, why });
  const repaired = repair(stateDirectory, found, log);
  if (good) {
    log.warn("state.fell-back", { generation: good.number });
    return good;
  }
  if (repaired) return undefined;
  const why = unusable.map((one) => `${nameOf(one.number)}: ${one.why}`).join("; ");
  throw new MooringError("ERR_STATE_CORRUPT", `no generation in ${stateDirectory} is usable (${why})`, {
    path: stateDirectory,
    hint: "stop other mooring processes, make the directory writable, then run `mooring provision`",
  });
}

const told = new Set<string>();

/** A newer version's stays where it is, for as long as this image runs: every look finds it so. */
function tellOnce(what: string): boolean {
  const isNew = !told.has(what);
  told.add(what);
  return isNew;
}

/** Writes a generation beside the current one, in place of one that was staged and never promoted. Needs the lock. */
export function stage(
  stateDirectory: string,
  { assignment, hubKey }: { readonly assignment: Assignment; readonly hubKey?: Uint8Array },
): Staged {
  const directory = join(generationsIn(stateDirectory), "staged");
  onDisk("write", directory, () => {
    fs.rmSync(directory, { recursive: true, force: true });
    fs.mkdirSync(directory, { mode: 0o700 });
    if (hubKey) writeAtomic(join(directory, "hub-key.tpm"), hubKey, { mode: 0o600 });
    writeAtomic(join(directory, "assignment.json"), encodeAssignment(assignment, hubKey), { mode: 0o600 });
    syncDirectory(dirname(directory));
  });
  return { directory, assignment, ...(hubKey && { hubKey: Buffer.from(hubKey) }) };
}

/** Reads the staged generation back and compares it with what was to be written. Throws ERR_STATE_CORRUPT. */
export function verifyStaged({ directory, assignment, hubKey }: Staged): void {
  const { reading, content } = readFiles(directory);
  if (reading.state === "good" && content === encodeAssignment(assignment, hubKey)) return;
  const why = reading.state === "damaged" ? reading.why : "it reads back differently";
  throw new MooringError("ERR_STATE_CORRUPT", `what was just written to ${directory} is wrong: ${why}`, {
    path: directory,
    hint: "check the storage under the directory named, then try again",
  });
}

/**
 * Makes the staged generation current in one atomic step, then removes all but it, the one that was in use, and what a
 * newer version of Mooring wrote.
 * Needs the lock. Throws ERR_STATE_DIRECTORY, ERR_STATE_FULL.
 */
export function promote(stateDirectory: string, staged: Staged): Generation {
  const linked = linkedNumber(stateDirectory) ?? 0;
  const before = newestGood(stateDirectory).good?.number;
  const number = Math.max(linked, ...numbersIn(stateDirectory)) + 1;
  const directory = directoryOf(stateDirectory, number);
  onDisk("promote", directory, () => {
    fs.renameSync(staged.directory, directory);
    syncDirectory(dirname(directory));
    linkCurrent(stateDirectory, number);
  });
  removeOlder(stateDirectory, number, before);
  return { ...staged, number, directory };
}

/** Removes a staged generation that is not wanted after all. */
export function discard(staged: Staged): void {
  onDisk("remove", staged.directory, () => fs.rmSync(staged.directory, { recursive: true, force: true }));
}

/** The newest good generation before this one. Reads only. */
export function previousGeneration(stateDirectory: string, { number }: Generation): Generation | undefined {
  return goodGenerations(stateDirectory).find((one) => one.number < number);
}

/**
 * Makes a generation that is there current, in one atomic step. Needs the lock. Throws ERR_STATE_DIRECTORY,
 * ERR_STATE_FULL.
 */
export function makeCurrent(stateDirectory: string, { number, directory }: Generation): void {
  onDisk("make current", directory, () => {
    removeFile(withdrawnMark(directory));
    linkCurrent(stateDirectory, number);
  });
}

/** Notes durably that the generation is not published any more. Needs the lock. Throws as makeCurrent() does. */
export function markWithdrawn({ directory }: Generation): void {
  writeAtomic(withdrawnMark(directory), "", { mode: 0o600 });
}

export const isWithdrawn = ({ directory }: Generation): boolean => fs.existsSync(withdrawnMark(directory));

const withdrawnMark = (directory: string): string => join(directory, "withdrawn");

/** Notes that the TPM holds the generation's hub key at its handle. */
export function markHubKeyPersisted({ directory }: Generation): void {
  writeAtomic(persistedMark(directory), "", { mode: 0o600 });
}

/** Takes back what was noted for any generation: from here on nobody knows whose hub key the TPM holds. */
export function forgetPersistedHubKeys(stateDirectory: string): void {
  for (const number of numbersIn(stateDirectory)) {
    const directory = directoryOf(stateDirectory, number);
    onDisk("change", directory, () => removeFile(persistedMark(directory)));
  }
}

/** False after a cut between promoting and persisting: the key then has to go to its handle again. */
export function isHubKeyPersisted({ directory }: Generation): boolean {
  return fs.existsSync(persistedMark(directory));
}

const persistedMark = (directory: string): string => join(directory, "hub-key.persisted");

/** True when a generation was set aside because it was damaged: then a missing assignment is a lost one. */
export const wasDamaged = (stateDirectory: string): boolean => holdsGeneration(stateDirectory);

/** Every good generation, newest first: the hub keys in them are ours. Reads only. */
export function goodGenerations(stateDirectory: string): Generation[] {
  return numbersIn(stateDirectory).flatMap((number) => {
    const found = readGeneration(stateDirectory, number);
    return "directory" in found ? [found] : [];
  });
}

/** Failing to remove is no failure. */
function removeOlder(stateDirectory: string, current: number, before: number | undefined): void {
  for (const number of numbersIn(stateDirectory)) {
    if (number === current || number === before) continue;
    try {
      const found = readGeneration(stateDirectory, number);
      if ("why" in found && !found.isDamaged) continue;
      fs.rmSync(directoryOf(stateDirectory, number), { recursive: true, force: true });
    } catch {
      // The next promotion tries again.
    }
  }
}
