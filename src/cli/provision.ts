// `mooring provision`, `reprovision` and `rollback`: the main job, once, by hand or from a unit, and the way back.

import type { Command } from "commander";
import type { Provisioned } from "../agent/provision.ts";
import { loadConfig } from "../config/load.ts";
import { type CommonOptions, commandTools, withCommonOptions } from "./options.ts";
import { paint, printFacts, printJson, printLine, reportError } from "./output.ts";

export function addProvisionCommands(program: Command): void {
  withCommonOptions(program.command("provision"))
    .description("register with the provisioning service, or keep the assignment that is still valid")
    .addHelpText(
      "after",
      "\nSafe to run at every boot: with a valid assignment it publishes the outputs and touches neither\nnetwork nor TPM. It registers when there is no assignment, or when endpoint, id scope,\nregistration id or key changed. A failure leaves the old assignment as it was.",
    )
    .action((options: CommonOptions) => provisionNow(options, false));
  withCommonOptions(program.command("reprovision"))
    .description("register again now; the old assignment stays until the new one is proven and on disk")
    .action((options: CommonOptions) => provisionNow(options, true));
  withCommonOptions(program.command("rollback"))
    .description("return to the assignment before the current one, without asking the service")
    .addHelpText(
      "after",
      "\nNeeds no network. The TPM holds the hub key of that assignment again, and the outputs are those of then.\nWhen the configuration has changed since, change it back, or the next `provision` registers again.\nExits 66 when there is no assignment to go back to.",
    )
    .action(rollBackNow);
}

async function provisionNow(options: CommonOptions, operatorAsks: boolean): Promise<void> {
  const config = loadConfig(options.config);
  const { provision } = await import("../agent/provision.ts");
  const done = await provision(config, { ...commandTools(options), operatorAsks });
  tell(options, done, done.trigger === undefined ? "kept" : "assigned");
}

async function rollBackNow(options: CommonOptions): Promise<void> {
  const config = loadConfig(options.config);
  const { rollBack } = await import("../agent/rollback.ts");
  tell(options, await rollBack(config, commandTools(options)), "rolled-back");
}

const sentences = {
  kept: "Still assigned.",
  assigned: "Assigned.",
  "rolled-back": "Back to what was before.",
};

type Outcome = keyof typeof sentences;

function tell(options: CommonOptions, done: Provisioned, outcome: Outcome): void {
  if (options.json) printJson(provisionedJson(done, outcome));
  else printProvisioned(done, outcome);
  const failed = done.outputs.find(({ error }) => error)?.error;
  if (failed) process.exitCode = reportError(failed, { json: false, verbose: options.verbose ?? false });
}

/** The assignment's own fields at the top, then what this run did. */
const provisionedJson = (
  { assignment, trigger, outputs }: Provisioned,
  outcome: Outcome,
): Record<string, unknown> => ({
  ...assignment,
  outcome,
  ...(trigger !== undefined && { trigger }),
  outputs: outputs.map(({ path, status, error }) => ({
    path,
    status,
    ...(error && { code: error.code, error: error.message }),
  })),
});

function printProvisioned({ assignment, outputs }: Provisioned, outcome: Outcome): void {
  const { assignedHub, deviceId, registrationId, idScope, attestation, transport, substatus, assignedAt } =
    assignment;
  printLine(paint("green", sentences[outcome]));
  printFacts({
    hub: assignedHub,
    "device id": deviceId,
    "registration id": registrationId,
    "id scope": idScope,
    attestation,
    transport,
    substatus,
    since: assignedAt,
    ...Object.fromEntries(
      outputs.map(({ path, status }, index) => [`output ${index + 1}`, `${path} (${status})`]),
    ),
  });
}
