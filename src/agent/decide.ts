// What to do next, and why, from facts alone. Pure.

import type { Assignment } from "../assignment/assignment.ts";
import type { ErrorCode } from "../errors.ts";

/** What the configuration and the identity ask for now. What is not known without opening the identity is absent. */
export interface Wanted {
  readonly endpoint: string;
  readonly idScope: string;
  readonly attestation: Assignment["attestation"];
  readonly registrationId?: string;
  readonly publicKeySha256?: string;
  /** Of the certificate, in ms since 1970; it decides nothing. */
  readonly validity?: { readonly from: number; readonly to: number };
}

interface Policy {
  /** What a change of configuration or identity leads to. */
  readonly onChange: "auto" | "ask";
  /** What becomes of the assignment when its enrollment is disabled or gone. */
  readonly onDisenrolled: "keep" | "withdraw";
}

export interface Facts {
  readonly assignment: Assignment | undefined;
  /** There was an assignment once, and nothing of it can be used. */
  readonly isLost?: boolean;
  /** The assignment is no longer published. */
  readonly isWithdrawn?: boolean;
  readonly wanted: Wanted;
  readonly policy: Policy;
  /** A person asked for a new registration. */
  readonly operatorAsks: boolean;
  /** Until the periodic registration; absent when there is none. */
  readonly timerDueInMs?: number;
  /** The service's last word on the enrollment that this very assignment came from, when that was a refusal. */
  readonly disenrolled?: Disenrolled;
  /** How the last attempt ended, when the same again can only fail again. */
  readonly finalFailure?: ErrorCode;
  /** What manners ask for before an attempt of this trigger: back-off, budget, the device's share of a splay. */
  readonly pause?: (trigger: Trigger) => { readonly forMs: number; readonly because: string } | undefined;
  /** An implausible clock spoils certificates and tokens; nothing is tried before it is right. */
  readonly isClockPlausible?: boolean;
}

export type Disenrolled = "ERR_NOT_ENROLLED" | "ERR_DISABLED";

export type Trigger =
  | "first-boot"
  | "assignment-invalid"
  | "operator"
  | "config-changed"
  | "identity-changed"
  | "disenrolled"
  | "timer";

export interface Reason {
  readonly trigger: Trigger;
  readonly because: string;
}

export type Decision =
  /** `pending`: what would be done if the policy did not leave it to a person. */
  | { readonly act: "keep"; readonly pending?: Reason }
  | ({ readonly act: "provision" } & Reason)
  /** Without `forMs`: until the clock is right. */
  | ({ readonly act: "wait"; readonly forMs?: number } & Reason)
  /** Nothing more until configuration or identity changes, or a person asks. */
  | ({ readonly act: "stop"; readonly code: ErrorCode } & Reason)
  | ({ readonly act: "withdraw" } & Reason);

export function decide(facts: Facts): Decision {
  const reason = reasonToProvision(facts);
  if (!reason) return { act: "keep" };
  const { trigger } = reason;
  if (trigger === "operator") return { act: "provision", ...reason };
  if (facts.policy.onChange === "ask" && (trigger === "config-changed" || trigger === "identity-changed")) {
    return { act: "keep", pending: reason };
  }
  if (trigger === "disenrolled" && facts.policy.onDisenrolled === "withdraw" && !facts.isWithdrawn) {
    return { act: "withdraw", ...reason };
  }
  if (facts.finalFailure) return { act: "stop", code: facts.finalFailure, ...reason };
  if (facts.isClockPlausible === false) {
    return { act: "wait", trigger, because: "the clock cannot be right; waiting until it is set" };
  }
  const pause = facts.pause?.(trigger);
  if (pause) return { act: "wait", trigger, ...pause };
  return { act: "provision", ...reason };
}

function reasonToProvision(facts: Facts): Reason | undefined {
  const { assignment, isLost, isWithdrawn, wanted, operatorAsks, disenrolled, timerDueInMs } = facts;
  if (operatorAsks) return { trigger: "operator", because: "an operator asked for it" };
  if (!assignment && isLost) {
    return { trigger: "assignment-invalid", because: "what was kept of the assignment is damaged" };
  }
  if (!assignment) return { trigger: "first-boot", because: "there is no assignment yet" };
  const change = changeSince(assignment, wanted);
  if (change) return change;
  if (disenrolled) {
    const what = disenrolled === "ERR_DISABLED" ? "is disabled" : "is gone";
    return { trigger: "disenrolled", because: `the service says that the enrollment ${what}` };
  }
  // Whatever became of the reason: what nobody may use is of no use until the service gives it again.
  if (isWithdrawn) return { trigger: "disenrolled", because: "the assignment was withdrawn" };
  if (timerDueInMs !== undefined && timerDueInMs <= 0) {
    return { trigger: "timer", because: "the time of [reprovision] every is over" };
  }
  return undefined;
}

/** What the assignment was made with, against what is wanted now. */
function changeSince(assignment: Assignment, wanted: Wanted): Reason | undefined {
  const changed = (what: string, saved: string, wished: string): Reason => ({
    trigger: "config-changed",
    because: `the ${what} is now ${wished}, not ${saved}`,
  });
  const { endpoint, idScope, registrationId, publicKeySha256 } = wanted;
  if (differ(assignment.endpoint, endpoint)) return changed("endpoint", assignment.endpoint, endpoint);
  if (differ(assignment.idScope, idScope)) return changed("id scope", assignment.idScope, idScope);
  if (differ(assignment.registrationId, registrationId)) {
    return changed("registration id", assignment.registrationId, registrationId);
  }
  if (assignment.attestation !== wanted.attestation) {
    return {
      trigger: "identity-changed",
      because: `the identity is now of kind ${wanted.attestation}, not ${assignment.attestation}`,
    };
  }
  if (differ(assignment.publicKeySha256, publicKeySha256)) {
    return { trigger: "identity-changed", because: "the identity has another public key" };
  }
  return undefined;
}

/** The assignment is the one that is asked for; the service is to say so again. */
export const onlyConfirms = (trigger: Trigger): boolean => trigger === "disenrolled" || trigger === "timer";

export const meansDisenrolled = (code: ErrorCode): code is Disenrolled =>
  code === "ERR_NOT_ENROLLED" || code === "ERR_DISABLED";

/** DPS compares all of these without regard to case. An unknown wish differs from nothing. */
const differ = (saved: string, wished: string | undefined): wished is string =>
  wished !== undefined && saved.toLowerCase() !== wished.toLowerCase();
