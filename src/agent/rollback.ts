// Back to the assignment before the current one, without asking anybody: prove that it still works → make it current →
// its hub key goes back into the TPM → publish. What fails before the flip changes nothing; after a cut behind it, the
// next start does the rest.

import { type Generation, loadCurrent, makeCurrent, previousGeneration } from "../assignment/generations.ts";
import { lockState } from "../assignment/lock.ts";
import type { Config } from "../config/schema.ts";
import { MooringError } from "../errors.ts";
import { openAttempts } from "./attempts.ts";
import type { Tools } from "./connect.ts";
import { decide, type Reason } from "./decide.ts";
import { keepHubKey, proveHubKey } from "./hub-key.ts";
import { withTpm } from "./identity.ts";
import { requirePinnedTpm } from "./pinned-tpm.ts";
import type { Provisioned } from "./provision.ts";
import { serve } from "./serve.ts";
import { lookAround } from "./situation.ts";

/**
 * Returns to the previous generation; the one that was current stays on disk until the next provisioning.
 * Throws ERR_NOT_PROVISIONED, ERR_NO_PREVIOUS, and what the state directory and the TPM throw.
 */
export async function rollBack(config: Config, tools: Tools): Promise<Provisioned> {
  const stateDirectory = config.state.directory;
  if (!loadCurrent(stateDirectory, tools)) throw nothingCurrent(stateDirectory);

  using _lock = lockState(stateDirectory);
  const current = loadCurrent(stateDirectory, tools);
  if (!current) throw nothingCurrent(stateDirectory);
  const previous = previousGeneration(stateDirectory, current);
  if (!previous) {
    throw new MooringError(
      "ERR_NO_PREVIOUS",
      `there is no assignment before the current one in ${stateDirectory}`,
    );
  }

  if (!previous.hubKey) makeCurrent(stateDirectory, previous);
  else {
    await withTpm(config, tools, async (identity) => {
      requirePinnedTpm(identity, previous.assignment, { ...tools, operatorAsks: false });
      await proveHubKey(identity.tpm, previous);
      makeCurrent(stateDirectory, previous);
      await keepHubKey(identity.tpm, previous, stateDirectory, tools);
    });
  }
  tools.log.info("assignment.rolled-back", shown(previous));
  const served = await serve(config, previous, tools);
  const pending = await whyNotForLong(config, previous, tools);
  return { ...served, ...(pending && { pending }) };
}

/** Why the next decision will be against it, as far as that can be told now. */
async function whyNotForLong(config: Config, current: Generation, tools: Tools): Promise<Reason | undefined> {
  const attempts = openAttempts(config.state.directory, { ...tools, isReadOnly: true });
  try {
    const decision = decide(await lookAround(config, current, attempts, { ...tools, operatorAsks: false }));
    return decision.act === "keep"
      ? decision.pending
      : decision.act === "provision"
        ? reasonOf(decision)
        : undefined;
  } catch {
    return undefined;
  }
}

const reasonOf = ({ trigger, because }: Reason): Reason => ({ trigger, because });

const nothingCurrent = (stateDirectory: string): MooringError =>
  new MooringError("ERR_NOT_PROVISIONED", `there is no assignment in ${stateDirectory}`);

const shown = ({
  number,
  assignment: { assignedHub, deviceId },
}: Generation): Record<string, string | number> => ({
  assignedHub,
  deviceId,
  generation: number,
});
