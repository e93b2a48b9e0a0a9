// What this gateway knows of the time when it starts: its build, its state on disk, and what earlier attempts learnt.

import { statSync } from "node:fs";
import { join } from "node:path";
import type { Config } from "../config/schema.ts";
import { TrustedTime } from "../system/trusted-time.ts";
import type { Tools } from "./connect.ts";

/** Where the floor outlives a restart. */
export interface FloorMemory {
  readonly timeFloor?: number | undefined;
  setTimeFloor(at: number): void;
}

export function openTrustedTime(
  { state }: Config,
  memory: FloorMemory,
  { clock, log }: Pick<Tools, "clock" | "log">,
): TrustedTime {
  return new TrustedTime({
    clock,
    log,
    remembered: memory.timeFloor,
    stateWrittenAt: writtenAt(join(state.directory, "current/assignment.json")),
    remember: (floor) => memory.setTimeFloor(floor),
  });
}

/** Milliseconds since 1970; undefined when it cannot be told, which others will complain of. */
function writtenAt(path: string): number | undefined {
  try {
    return statSync(path).mtimeMs;
  } catch {
    return undefined;
  }
}
