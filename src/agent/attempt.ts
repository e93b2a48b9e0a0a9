// One attempt to get an assignment, on the record: what is known of earlier ones decides when the next is due, across
// restarts and power cuts.

import type { Generation } from "../assignment/generations.ts";
import type { Config } from "../config/schema.ts";
import { openAttempts } from "./attempts.ts";
import { blamingClock } from "./clock-fault.ts";
import type { Tools } from "./connect.ts";
import type { Trigger } from "./decide.ts";
import { openTrustedTime } from "./time.ts";

/** Runs `attempt`, and notes how it ended. A failure that a wrong clock explains is thrown as the clock's. */
export async function recordAttempt<Result>(
  config: Config,
  { trigger: _, current: __, ...tools }: Tools & { trigger: Trigger; current: Generation | undefined },
  attempt: (tools: Tools) => Promise<Result>,
): Promise<Result> {
  const attempts = openAttempts(config.state.directory, tools);
  const time = openTrustedTime(config, attempts, tools);
  return blamingClock(time, () => attempt({ ...tools, time }));
}
