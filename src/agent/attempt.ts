// One attempt to get an assignment, on the record: what is known of earlier ones decides when the next is due, across
// restarts and power cuts.

import type { Generation } from "../assignment/generations.ts";
import type { Config } from "../config/schema.ts";
import type { Tools } from "./connect.ts";
import type { Trigger } from "./decide.ts";

/** Runs `attempt`, and notes how it ended. */
export async function recordAttempt<Result>(
  _config: Config,
  _about: Tools & { trigger: Trigger; current: Generation | undefined },
  attempt: () => Promise<Result>,
): Promise<Result> {
  return attempt();
}
