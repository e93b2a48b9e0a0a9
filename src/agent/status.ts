// Three answers that are often taken for one: is the agent alive, is there an identity to use, and when did the
// service last confirm it. One object, with a daemon or without.

import type { Assignment } from "../assignment/assignment.ts";
import type { ErrorCode } from "../errors.ts";
import type { Decision } from "./decide.ts";

/** Times are ISO 8601, UTC. */
export interface Status {
  readonly alive: Alive;
  readonly usable: {
    readonly yes: boolean;
    /** Why not. */
    readonly because?: string;
    readonly assignment?: Assignment;
    readonly generation?: number;
    /** Of the device certificate, X.509 only; below zero when it is over. */
    readonly certificateDaysLeft?: number;
  };
  readonly confirmed: { readonly at?: string; readonly by?: "service"; readonly because?: string };
  readonly decision: Decision;
  readonly lastFailure?: {
    readonly code: ErrorCode;
    readonly message: string;
    readonly hint: string;
    readonly at: string;
  };
  readonly nextAttempt?: { readonly at: string; readonly inMs: number; readonly because: string };
  readonly clock: "plausible" | "implausible";
}

export interface Alive {
  readonly running: boolean;
  readonly pid?: number;
  readonly since?: string;
  readonly activity?: "resting" | "provisioning" | "waiting" | "stopped";
}
