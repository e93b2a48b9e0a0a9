// The TPM that an assignment was made with. An assignment keeps the Names of its endorsement and storage root keys, so
// that another TPM, or one that was cleared, is noticed before anything is asked in its name. Only a person may say
// that this is meant.

import type { Assignment } from "../assignment/assignment.ts";
import { MooringError } from "../errors.ts";
import type { TpmIdentity } from "../identity/tpm.ts";
import type { Log } from "../system/log.ts";

type TpmKeys = Pick<TpmIdentity, "names" | "publicKeySha256">;

/** Throws ERR_TPM_CHANGED when the assignment was made with another TPM, unless an operator asks to go on. */
export function requirePinnedTpm(
  present: TpmKeys,
  assignment: Assignment | undefined,
  { operatorAsks, log }: { readonly operatorAsks: boolean; readonly log: Log },
): void {
  if (assignment?.attestation !== "tpm") return;
  const change = changeSince(assignment, present);
  if (change === undefined) return;
  const { assignedHub, deviceId } = assignment;
  if (operatorAsks) {
    log.warn("tpm.changed", { because: change, replacing: assignedHub, deviceId });
    return;
  }
  throw new MooringError(
    "ERR_TPM_CHANGED",
    `${change}; the assignment to ${assignedHub} as ${deviceId} stays as it is`,
  );
}

function changeSince({ tpm: pinned, publicKeySha256 }: Assignment, present: TpmKeys): string | undefined {
  const { endorsementKey, storageRootKey } = present.names;
  if (publicKeySha256 !== present.publicKeySha256) {
    const was = pinned ? `, not ${pinned.endorsementKey}` : "";
    return `this is not the TPM that was provisioned: its endorsement key has the name ${endorsementKey}${was}`;
  }
  // Assignments of the first version did not keep it.
  if (pinned && pinned.storageRootKey !== storageRootKey) {
    return `this TPM was cleared, or its storage root key made anew: that has the name ${storageRootKey}, not ${pinned.storageRootKey}`;
  }
  return undefined;
}
