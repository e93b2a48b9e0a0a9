import type { MooringError } from "../errors.ts";
import type { Log } from "../system/log.ts";
import type { Assignment } from "./assignment.ts";

/** One published file; the configuration's `[[outputs]]` have this shape. */
export interface OutputFile {
  readonly path: string;
  readonly format: "env" | "json" | "toml" | "template";
  readonly template?: string;
  readonly mode: number;
  readonly owner?: string;
  readonly group?: string;
  readonly onChange?: readonly string[];
}

export interface OutputResult {
  readonly path: string;
  /** `repaired`: the content was right, the mode or owner was not. */
  readonly status: "written" | "repaired" | "unchanged" | "failed";
  /** Why it failed, or why its on_change command did. */
  readonly error?: MooringError;
}

/** Publishes the assignment to every output; one that fails does not stop the others. Never throws but the signal's reason. */
export declare function publishOutputs(
  outputs: readonly OutputFile[],
  assignment: Assignment,
  options: { log: Log; signal: AbortSignal },
): Promise<OutputResult[]>;
