// What other programs of the gateway get to see: the current assignment is published as it is on disk, without network
// or TPM. Where the policy says so, that of a disenrolled gateway is taken back; it stays on disk, and comes back with
// the policy or with a new assignment.

import { type Generation, isWithdrawn, markWithdrawn } from "../assignment/generations.ts";
import { lockState } from "../assignment/lock.ts";
import { publishOutputs, withdrawOutputs } from "../assignment/outputs.ts";
import { owedCommands } from "../assignment/owed.ts";
import type { Config } from "../config/schema.ts";
import type { Tools } from "./connect.ts";
import type { Reason } from "./decide.ts";
import type { Provisioned } from "./provision.ts";

/** Publishes a generation. Failures of outputs are in the result; the assignment is kept either way. */
export async function serve(config: Config, generation: Generation, tools: Tools): Promise<Provisioned> {
  const { assignment } = generation;
  const owed = owedCommands(config.state.directory, tools);
  const outputs = staysWithdrawn(config, generation)
    ? await withdrawOutputs(config.outputs, { ...tools, owed })
    : await publishOutputs(config.outputs, assignment, { ...tools, owed });
  return { assignment, outputs };
}

/** Takes back what was published, durably: the next start publishes nothing either. */
export async function withdraw(
  config: Config,
  generation: Generation,
  { because }: Reason,
  tools: Tools,
): Promise<Provisioned> {
  using _lock = lockState(config.state.directory);
  const { assignment } = generation;
  const { assignedHub, deviceId } = assignment;
  markWithdrawn(generation);
  tools.log.warn("assignment.withdrawn", { because, assignedHub, deviceId });
  const owed = owedCommands(config.state.directory, tools);
  return { assignment, outputs: await withdrawOutputs(config.outputs, { ...tools, owed }) };
}

/** True for an assignment that was withdrawn under a policy that is still in force. */
export const staysWithdrawn = (config: Config, generation: Generation): boolean =>
  config.reprovision.onDisenrolled === "withdraw" && isWithdrawn(generation);
