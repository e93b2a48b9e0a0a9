// `mooring provision`, `reprovision` and `rollback`: the main job, once, by hand or from a unit, and the way back.

import type { Command } from "commander";
import type { Tools } from "../agent/connect.ts";
import type { Accepted } from "../agent/control/wire.ts";
import type { Provisioned } from "../agent/provision.ts";
import { loadConfig } from "../config/load.ts";
import type { Config } from "../config/schema.ts";
import { viaDaemon } from "./daemon.ts";
import { type CommonOptions, commandTools, withCommonOptions } from "./options.ts";
import { paint, printFacts, printJson, printLine, printRows, reportError } from "./output.ts";

interface ReprovisionOptions extends CommonOptions {
  readonly wait?: boolean;
  readonly dryRun?: boolean;
}

export function addProvisionCommands(program: Command): void {
  withCommonOptions(program.command("provision"))
    .description("register with the provisioning service, or keep the assignment that is still valid")
    .addHelpText(
      "after",
      "\nSafe to run at every boot: with a valid assignment it publishes the outputs and touches neither\nnetwork nor TPM. It registers when there is no assignment, or when endpoint, id scope,\nregistration id or key changed. A failure leaves the old assignment as it was.\nA loop of failures is held back after 14 attempts (ERR_TOO_MANY_ATTEMPTS, 75).\nWhere the daemon runs, it is asked to do this now.",
    )
    .action(provisionNow);
  withCommonOptions(program.command("reprovision"))
    .description("register again now; the old assignment stays until the new one is proven and on disk")
    .option("--wait", "with a daemon: show its progress, and end with its result")
    .option("--dry-run", "say what would be sent, replaced and kept; touch neither network nor TPM nor disk")
    .addHelpText(
      "after",
      `
Where the daemon runs, it is asked to do this, and the command ends as soon as it has accepted: follow with
\`mooring status\`, or stay with --wait. Elsewhere it is done here and now.

  mooring reprovision --dry-run      look first
  mooring reprovision --wait`,
    )
    .action(reprovision);
  withCommonOptions(program.command("rollback"))
    .description("return to the assignment before the current one, without asking the service")
    .addHelpText(
      "after",
      "\nNeeds no network. The TPM holds the hub key of that assignment again, and the outputs are those of then.\nWhen the configuration has changed since, change it back, or the daemon and the next `provision` register again.\nExits 66 when there is no assignment to go back to.",
    )
    .action(rollBackNow);
}

async function provisionNow(options: CommonOptions): Promise<void> {
  const config = loadConfig(options.config);
  const tools = commandTools(options);
  const told = await viaDaemon(config, { do: "provision", wait: true }, tools);
  const done = isDone(told) ? told : await provisionHere(config, { ...tools, operatorAsks: false });
  tell(options, done, done.trigger === undefined ? "kept" : "assigned");
}

async function reprovision(options: ReprovisionOptions): Promise<void> {
  const config = loadConfig(options.config);
  const tools = commandTools(options);
  if (options.dryRun) return showPlan(config, options, tools);
  const told = await viaDaemon(config, { do: "reprovision", wait: options.wait ?? false }, tools);
  if (told !== "no daemon" && "accepted" in told) {
    if (options.json) printJson(told);
    else
      printLine(
        "The daemon is at it. See how it goes with `mooring status`; the old assignment stays meanwhile.",
      );
    return;
  }
  const done = isDone(told) ? told : await provisionHere(config, { ...tools, operatorAsks: true });
  tell(options, done, done.trigger === undefined ? "kept" : "assigned");
}

const isDone = (told: Provisioned | Accepted | "no daemon"): told is Provisioned =>
  told !== "no daemon" && "outputs" in told;

async function provisionHere(config: Config, how: Tools & { operatorAsks: boolean }): Promise<Provisioned> {
  const { provision } = await import("../agent/provision.ts");
  return provision(config, how);
}

async function showPlan(config: Config, { json }: CommonOptions, tools: Tools): Promise<void> {
  const [{ planReprovision }, { planRows }] = await Promise.all([
    import("../agent/plan.ts"),
    import("./plan-text.ts"),
  ]);
  const plan = await planReprovision(config, tools);
  if (json) return printJson(plan);
  printLine("Nothing was sent and nothing was changed. `mooring reprovision`");
  printLine();
  printRows(planRows(plan));
}

async function rollBackNow(options: CommonOptions): Promise<void> {
  const config = loadConfig(options.config);
  const tools = commandTools(options);
  const told = await viaDaemon(config, { do: "rollback" }, tools);
  const done = told === "no daemon" ? await rollBackHere(config, tools) : told;
  tell(options, done, "rolled-back", config.reprovision.onChange);
}

const rollBackHere = async (config: Config, tools: Tools): Promise<Provisioned> =>
  (await import("../agent/rollback.ts")).rollBack(config, tools);

const sentences = {
  kept: "Still assigned.",
  assigned: "Assigned.",
  "rolled-back": "Back to what was before.",
};

type Outcome = keyof typeof sentences;

function tell(options: CommonOptions, done: Provisioned, outcome: Outcome, onChange?: "auto" | "ask"): void {
  if (options.json) printJson(provisionedJson(done, outcome));
  else printProvisioned(done, outcome, onChange === "auto" ? changeBack : registerAgain);
  const failed = done.outputs.find(({ error }) => error)?.error;
  if (failed) process.exitCode = reportError(failed, { json: false, verbose: options.verbose ?? false });
}

type Advice = (because: string) => string;

const registerAgain: Advice = (because) => `\`mooring reprovision\` would register again: ${because}.`;

const changeBack: Advice = (because) =>
  `This gateway will soon register again: ${because}. To stay, change the configuration back.`;

/** The assignment's own fields at the top, then what this run did. */
const provisionedJson = (
  { assignment, trigger, pending, outputs }: Provisioned,
  outcome: Outcome,
): Record<string, unknown> => ({
  ...assignment,
  outcome,
  ...(trigger !== undefined && { trigger }),
  ...(pending && { pending }),
  outputs: outputs.map(({ path, status, error }) => ({
    path,
    status,
    ...(error && { code: error.code, error: error.message }),
  })),
});

function printProvisioned(
  { assignment, pending, outputs }: Provisioned,
  outcome: Outcome,
  advice: Advice,
): void {
  const { assignedHub, deviceId, registrationId, idScope, attestation, transport, substatus, assignedAt } =
    assignment;
  printLine(paint("green", sentences[outcome]));
  if (pending) printLine(paint("yellow", advice(pending.because)));
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
