// One generation as it lies on disk: assignment.json, and hub-key.tpm on the TPM path. Reading tells what is usable
// from what is not, and being refused from being damaged.

import { join } from "node:path";
import { systemCode } from "../errors.ts";
import { fileFailure } from "../system/atomic-file.ts";
import { readRegularFile } from "../system/regular-file.ts";
import { type Assignment, decodeAssignment, type Reading } from "./assignment.ts";
import { directoryOf } from "./layout.ts";

/** A generation on disk that is not current yet. */
export interface Staged {
  readonly directory: string;
  readonly assignment: Assignment;
  /** TPM-wrapped hub key, useless elsewhere. */
  readonly hubKey?: Buffer;
}

export interface Generation extends Staged {
  readonly number: number;
}

/** Why a generation cannot be used. */
export interface Unusable {
  readonly number: number;
  readonly why: string;
  /** False for a newer version's: an image may have been rolled back, and will come again. */
  readonly isDamaged: boolean;
}

/** Throws ERR_STATE_DIRECTORY when it is forbidden or impossible to look. */
export function readGeneration(stateDirectory: string, number: number): Generation | Unusable {
  const directory = directoryOf(stateDirectory, number);
  const { reading, hubKey } = readFiles(directory);
  switch (reading.state) {
    case "good":
      return { number, directory, assignment: reading.assignment, ...(hubKey && { hubKey }) };
    case "newer":
      return {
        number,
        why: `schema version ${reading.schemaVersion} is of a newer Mooring`,
        isDamaged: false,
      };
    case "damaged":
      return { number, why: reading.why, isDamaged: true };
  }
}

/** Something else than a file, or a file system that found its own structures broken. */
const signsOfDamage = ["EISDIR", "ENOTDIR", "ELOOP", "EUCLEAN", "EBADMSG"];

/** The files of a generation, staged or numbered. */
export function readFiles(directory: string): { reading: Reading; content?: string; hubKey?: Buffer } {
  try {
    const content = readIfThere(join(directory, "assignment.json"))?.toString();
    const hubKey = readIfThere(join(directory, "hub-key.tpm"));
    if (content === undefined) return { reading: { state: "damaged", why: "it has no assignment.json" } };
    return { reading: decodeAssignment(content, hubKey), content, ...(hubKey && { hubKey }) };
  } catch (error) {
    // Being refused, or a disk that fails just now, says nothing about the content; what is no file at all does.
    const code = systemCode(error);
    if (code !== undefined && !signsOfDamage.includes(code)) {
      throw fileFailure("ERR_STATE_DIRECTORY", "read", directory, error);
    }
    return { reading: { state: "damaged", why: error instanceof Error ? error.message : String(error) } };
  }
}

function readIfThere(path: string): Buffer | undefined {
  try {
    return readRegularFile(path);
  } catch (error) {
    if (systemCode(error) === "ENOENT") return undefined;
    throw error;
  }
}
