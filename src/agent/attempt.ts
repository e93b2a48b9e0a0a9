// One attempt to get an assignment, on the record: it is written down before it begins, and so is how it ended. What
// earlier ones came to decides when the next is due, across restarts and power cuts.

import type { Assignment } from "../assignment/assignment.ts";
import { prepareState } from "../assignment/generations.ts";
import type { Config } from "../config/schema.ts";
import { asMooringError } from "../errors.ts";
import type { Attempts } from "./attempt-history.ts";
import type { Facts, Trigger } from "./decide.ts";
import { asking } from "./situation.ts";

/** Runs `attempt`, notes how it ended, and passes that on. What cannot be kept on disk is not asked for. */
export async function recordAttempt<Result extends { readonly assignment: Assignment } | null>(
  { state }: Config,
  attempts: Attempts,
  { trigger, assignment, wanted }: { trigger: Trigger } & Pick<Facts, "assignment" | "wanted">,
  attempt: () => Promise<Result>,
): Promise<Result> {
  try {
    prepareState(state.directory);
    attempts.begin(trigger, { asking: asking(wanted) });
    const result = await attempt();
    // The assignment is dated by the service's clock where that is known.
    attempts.succeeded(result?.assignment.assignedAt);
    return result;
  } catch (error) {
    attempts.failed(asMooringError(error), { assignedAt: assignment?.assignedAt });
    throw error;
  }
}
