// Dictionary-attack lockout, with what the TPM says about it: how it came about, and when it ends by itself.
// TPM 2.0 Library, Part 1, "Dictionary Attack Protection".

import { MooringError } from "../errors.ts";
import type { TpmDescription } from "./description.ts";

/** `failure` with the TPM's own account of its lockout. */
export function lockoutError(failure: MooringError, facts: TpmDescription | undefined): MooringError {
  if (!facts?.inLockout) return failure;
  const { lockoutCounter, lockoutLimit, lockoutIntervalSeconds } = facts;
  const counted = `${lockoutCounter} authorization failures of at most ${lockoutLimit}`;
  const each = `one is forgotten every ${lockoutIntervalSeconds} s`;
  return new MooringError("ERR_TPM_LOCKOUT", `${failure.message}; the TPM counts ${counted}, and ${each}`, {
    ...failure.details,
    hint: `find who tries wrong values; wait ${lockoutIntervalSeconds} s, or run \`tpm2_dictionarylockout --clear-lockout\``,
  });
}
