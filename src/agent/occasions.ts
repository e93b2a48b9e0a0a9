// What wakes the daemon, and which of it counts as a new start: something changed, or a person has come, so that what
// failed before may work now.

import type { ErrorCode } from "../errors.ts";
import { mayBeOfTime } from "./clock-fault.ts";
import type { Question } from "./questions.ts";

/** What happens on this machine. `promoted`: another assignment is the current one, by whichever process. */
export type Occasion = "reload" | "identity-changed" | "clock-stepped" | "promoted";

/** `clock-waited`: the clock is right now, or the wait for that was given up. */
export type Wake = Question | Occasion | "clock-waited";

export interface Before {
  readonly lastFailure: { readonly code: ErrorCode } | undefined;
  readonly isClockWaitGivenUp: boolean;
}

/** A clock that is right now mends only what failed over the time. */
export function isNewStart(wake: Wake, { lastFailure, isClockWaitGivenUp }: Before): boolean {
  switch (wake) {
    case "clock-waited":
      return !isClockWaitGivenUp && isOfTime(lastFailure);
    case "clock-stepped":
      return isOfTime(lastFailure);
    case "promoted":
      return false;
    default:
      return true;
  }
}

const isOfTime = (failure: Before["lastFailure"]): boolean =>
  failure !== undefined && mayBeOfTime(failure.code);
