// `mooring provision`, `reprovision` and `rollback` as Commander knows them: the main job, once, by hand or from a unit,
// and the way back.

import type { Command } from "commander";
import { withCommonOptions } from "./options.ts";

export function addProvisionCommands(program: Command): void {
  withCommonOptions(program.command("provision"))
    .description("register with the provisioning service, or keep the assignment that is still valid")
    .addHelpText(
      "after",
      "\nSafe to run at every boot: with a valid assignment it publishes the outputs and touches neither\nnetwork nor TPM. It registers when there is no assignment, or when endpoint, id scope,\nregistration id or key changed. A failure leaves the old assignment as it was.\nA loop of failures is held back after 14 attempts (ERR_TOO_MANY_ATTEMPTS, 75).\nWhere the daemon runs, it is asked to do this now.",
    )
    .action(async (options) => (await import("./provisioning.ts")).provisionNow(options));
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
    .action(async (options) => (await import("./provisioning.ts")).reprovision(options));
  withCommonOptions(program.command("rollback"))
    .description("return to the assignment before the current one, without asking the service")
    .addHelpText(
      "after",
      "\nNeeds no network. The TPM holds the hub key of that assignment again, and the outputs are those of then.\nWhen the configuration has changed since, change it back, or the daemon and the next `provision` register again.\nExits 66 when there is no assignment to go back to.",
    )
    .action(async (options) => (await import("./provisioning.ts")).rollBackNow(options));
}
