// `mooring status`: is the agent alive, is there an identity to use, and when did the service confirm it.

import type { Command } from "commander";
import type { Tools } from "../agent/connect.ts";
import type { Status } from "../agent/status.ts";
import { loadConfig } from "../config/load.ts";
import type { Config } from "../config/schema.ts";
import { viaDaemon } from "./daemon.ts";
import { type CommonOptions, commandTools, withCommonOptions } from "./options.ts";
import { printJson, printRows } from "./output.ts";

export function addStatusCommand(program: Command): void {
  withCommonOptions(program.command("status"))
    .description("show whether the agent runs, what is assigned, and what comes next")
    .addHelpText(
      "after",
      `
Asks the daemon, or reads the state directory where none runs: no network, no TPM.
Exits 0 when there is an identity to use, 66 when there is none.

In a script:
  mooring status --json | jq -r .usable.assignment.assignedHub`,
    )
    .action(async (options: CommonOptions) => {
      const config = loadConfig(options.config);
      const status = await currentStatus(config, commandTools(options));
      if (options.json) printJson(status);
      else printRows((await import("./status-text.ts")).statusRows(status, Date.now()));
      if (!status.usable.yes) process.exitCode = 66;
    });
}

/** The daemon's word, or what is on disk. */
async function currentStatus(config: Config, tools: Tools): Promise<Status> {
  const told = await viaDaemon(config, { do: "status" }, tools);
  if (told !== "no daemon") return told;
  const { readStatus } = await import("../agent/status.ts");
  return readStatus(config, tools);
}
