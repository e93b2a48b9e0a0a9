// What to do next, and why, from facts alone. Pure.

import type { Assignment } from "../assignment/assignment.ts";

/** What the configuration and the identity ask for now. What is not known without opening the identity is absent. */
export interface Wanted {
  readonly endpoint: string;
  readonly idScope: string;
  readonly attestation: Assignment["attestation"];
  readonly registrationId?: string;
  readonly publicKeySha256?: string;
}

export interface Facts {
  readonly assignment: Assignment | undefined;
  readonly wanted: Wanted;
  /** A person asked for a new registration. */
  readonly operatorAsks: boolean;
}

export type Trigger = "first-boot" | "operator" | "config-changed" | "identity-changed";

export type Decision =
  | { readonly act: "keep" }
  | { readonly act: "provision"; readonly trigger: Trigger; readonly because: string };

export function decide({ assignment, wanted, operatorAsks }: Facts): Decision {
  if (!assignment) return provision("first-boot", "there is no assignment yet");
  if (operatorAsks) return provision("operator", "an operator asked for it");
  if (differ(assignment.endpoint, wanted.endpoint)) {
    return provision("config-changed", `the endpoint is now ${wanted.endpoint}, not ${assignment.endpoint}`);
  }
  if (differ(assignment.idScope, wanted.idScope)) {
    return provision("config-changed", `the id scope is now ${wanted.idScope}, not ${assignment.idScope}`);
  }
  if (differ(assignment.registrationId, wanted.registrationId)) {
    return provision(
      "config-changed",
      `the registration id is now ${wanted.registrationId}, not ${assignment.registrationId}`,
    );
  }
  if (assignment.attestation !== wanted.attestation) {
    return provision(
      "identity-changed",
      `the identity is now of kind ${wanted.attestation}, not ${assignment.attestation}`,
    );
  }
  if (differ(assignment.publicKeySha256, wanted.publicKeySha256)) {
    return provision("identity-changed", "the identity has another public key");
  }
  return { act: "keep" };
}

const provision = (trigger: Trigger, because: string): Decision => ({ act: "provision", trigger, because });

/** DPS compares all of these without regard to case. An unknown wish differs from nothing. */
const differ = (saved: string, wished: string | undefined): boolean =>
  wished !== undefined && saved.toLowerCase() !== wished.toLowerCase();
