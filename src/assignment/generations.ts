import type { Log } from "../system/log.ts";
import type { Assignment } from "./assignment.ts";

export interface Generation {
  readonly number: number;
  readonly directory: string;
  readonly assignment: Assignment;
  /** TPM-wrapped hub key, useless elsewhere. */
  readonly hubKey?: Buffer;
}

/** A generation written to disk that is not current yet. */
export interface Staged {
  readonly directory: string;
  readonly assignment: Assignment;
  readonly hubKey?: Buffer;
}

/** Creates the state directory when it is missing. Throws ERR_STATE_DIRECTORY, ERR_STATE_FULL. */
export declare function prepareState(stateDirectory: string): void;
/**
 * The current generation, or the newest good one before it when the current one is damaged (which is then set aside
 * in `quarantine/`, with an event). Undefined when nothing was ever promoted. Throws ERR_STATE_DIRECTORY when the
 * directory cannot be read, ERR_STATE_CORRUPT when generations are there and none is good.
 */
export declare function loadCurrent(stateDirectory: string, options: { log: Log }): Generation | undefined;
/** Every good generation, newest first: whose hub keys are ours. Reads only. */
export declare function goodGenerations(stateDirectory: string): Generation[];
/** Writes a generation beside the current one. Needs the lock. */
export declare function stage(stateDirectory: string, content: { readonly assignment: Assignment; readonly hubKey?: Uint8Array }): Staged;
/** Reads the staged generation back and compares. Throws ERR_STATE_CORRUPT. */
export declare function verifyStaged(staged: Staged): void;
/** Makes the staged generation current in one atomic step, then removes all but it and the one before. Needs the lock. */
export declare function promote(stateDirectory: string, staged: Staged): Generation;
/** Removes a staged generation that is not wanted after all. */
export declare function discard(staged: Staged): void;
