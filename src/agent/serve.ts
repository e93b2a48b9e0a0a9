// What other programs of the gateway get to see: the current assignment is published as it is on disk, without network
// or TPM. Where the policy says so, that of a disenrolled gateway is taken back; it stays on disk, and comes back with
// the policy or with a new assignment.

import { type Generation, isWithdrawn, loadCurrent, markWithdrawn } from "../assignment/generations.ts";
import { lockState } from "../assignment/lock.ts";
import { publishOutputs, withdrawOutputs } from "../assignment/outputs.ts";
import { owedCommands } from "../assignment/owed.ts";
import type { Config } from "../config/schema.ts";
import { announce, revoke } from "./announcement.ts";
import type { Tools } from "./connect.ts";
import type { Reason } from "./decide.ts";
import type { Provisioned } from "./provision.ts";

/**
 * Publishes a generation. A command of an output may take long, and other processes promote and publish meanwhile: what
 * is current in the end is what is published, and announced, in the end. Failures of outputs are in the result; the
 * assignment is kept either way.
 */
export async function serve(config: Config, generation: Generation, tools: Tools): Promise<Provisioned> {
  const wasWithdrawn = staysWithdrawn(config, generation);
  const owed = owedCommands(config.state.directory, tools);
  const outputs = wasWithdrawn
    ? await withdrawOutputs(config.outputs, { ...tools, owed })
    : await publishOutputs(config.outputs, generation.assignment, { ...tools, owed });
  const current = currentOr(generation, config, tools);
  const isLastWord = current.number === generation.number && staysWithdrawn(config, current) === wasWithdrawn;
  if (!isLastWord) return serve(config, current, tools);
  const untold = wasWithdrawn ? revoke(config, tools.log) : announce(config, generation, outputs, tools.log);
  return { assignment: generation.assignment, outputs: untold ? [...outputs, untold] : outputs };
}

/** A state that cannot be read just now says nothing against what was published. */
function currentOr(generation: Generation, { state }: Config, tools: Tools): Generation {
  try {
    return loadCurrent(state.directory, tools) ?? generation;
  } catch {
    return generation;
  }
}

/**
 * Takes back what was published, durably: the next start publishes nothing either. Of another generation than the one
 * that is current by now it takes nothing back, and publishes that. Throws ERR_LOCKED, and what the state throws.
 */
export async function withdraw(
  config: Config,
  generation: Generation,
  { because }: Reason,
  tools: Tools,
): Promise<Provisioned> {
  using _lock = lockState(config.state.directory);
  const current = loadCurrent(config.state.directory, tools);
  if (current && current.number !== generation.number) return serve(config, current, tools);
  const { assignment } = generation;
  const { assignedHub, deviceId } = assignment;
  markWithdrawn(generation);
  tools.log.warn("assignment.withdrawn", { because, assignedHub, deviceId });
  const owed = owedCommands(config.state.directory, tools);
  // Who works with it is stopped before it goes.
  const untold = revoke(config, tools.log);
  const outputs = await withdrawOutputs(config.outputs, { ...tools, owed });
  return { assignment, outputs: untold ? [...outputs, untold] : outputs };
}

/** True for an assignment that was withdrawn under a policy that is still in force. */
export const staysWithdrawn = (config: Config, generation: Generation): boolean =>
  config.reprovision.onDisenrolled === "withdraw" && isWithdrawn(generation);
