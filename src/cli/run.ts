// `mooring run`: the agent that stays. And `mooring errand`, which it starts for what it does not do itself.

import type { Command } from "commander";
import { type CommonOptions, withCommonOptions } from "./options.ts";

export function addRunCommand(program: Command): void {
  withCommonOptions(program.command("run"))
    .description("stay: publish the assignment, and provision when there is reason to")
    .addHelpText(
      "after",
      "\nWhat systemd starts at boot. With a valid assignment it publishes that and touches neither network nor TPM;\n" +
        "without one it registers, and goes on trying in the service's own time. `mooring status` asks it how it is,\n" +
        "`mooring reprovision` what to do. SIGHUP reads the configuration again, SIGTERM ends it within two seconds.",
    )
    .action(async ({ config, verbose }: CommonOptions) => {
      const { stay } = await import("./resident.ts");
      await stay({ config, ...(verbose && { verbose }) });
    });
}

export function addErrandCommand(program: Command): void {
  program
    .command("errand", { hidden: true })
    .action(async () => (await import("./provisioning.ts")).errand());
}
