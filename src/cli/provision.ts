// `mooring provision` and `mooring reprovision`: the main job, once, by hand or from a unit.

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
}

async function provisionNow(options: CommonOptions, operatorAsks: boolean): Promise<void> {
  const config = loadConfig(options.config);
  const { provision } = await import("../agent/provision.ts");
  const done = await provision(config, { ...commandTools(options), operatorAsks });
  if (options.json) printJson(provisionedJson(done));
  else printProvisioned(done);
  const failed = done.outputs.find(({ error }) => error)?.error;
  if (failed) process.exitCode = reportError(failed, { json: false, verbose: options.verbose ?? false });
}

/** The assignment's own fields at the top, then what this run did. */
const provisionedJson = ({ assignment, trigger, outputs }: Provisioned): Record<string, unknown> => ({
  ...assignment,
  outcome: trigger === undefined ? "kept" : "assigned",
  ...(trigger !== undefined && { trigger }),
  outputs: outputs.map(({ path, status, error }) => ({
    path,
    status,
    ...(error && { code: error.code, error: error.message }),
  })),
});

function printProvisioned({ assignment, trigger, outputs }: Provisioned): void {
  const { assignedHub, deviceId, registrationId, idScope, attestation, transport, substatus, assignedAt } =
    assignment;
  printLine(paint("green", trigger === undefined ? "Still assigned." : "Assigned."));
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
