// `mooring config`: is the configuration right, and what may it say.

import { readFileSync } from "node:fs";
import type { Command } from "commander";
import { loadConfig } from "../config/load.ts";
import type { Config } from "../config/schema.ts";
import { MooringError } from "../errors.ts";
import { type CommonOptions, withCommonOptions } from "./options.ts";
import { paint, printJson, printLine } from "./output.ts";

export function addConfigCommands(program: Command): void {
  const config = program
    .command("config")
    .description("check the configuration, or print a commented template");
  withCommonOptions(config.command("check"))
    .description("read the configuration and its drop-ins, and report every problem at once")
    .addHelpText(
      "after",
      "\nExits 0 when it is right, 78 when it is not. Opens no TPM, no key, and no connection.",
    )
    .action(async (options: CommonOptions) => {
      const checked = loadConfig(options.config);
      await checkTemplates(options.config, checked);
      if (options.json) printJson({ file: options.config, ok: true });
      else printLine(paint("green", `${options.config} is right.`));
    });
  config
    .command("example")
    .description("print the commented template: mooring config example > /etc/mooring/config.toml")
    .action(async () => {
      const { exampleConfig } = await import("../config/example.ts");
      process.stdout.write(exampleConfig);
    });
}

/** A placeholder that nobody will fill is better found now than when the assignment comes. */
async function checkTemplates(file: string, { outputs }: Config): Promise<void> {
  const { templateProblems } = await import("../assignment/formats.ts");
  const problems = outputs.flatMap(({ template }, index) => {
    if (template === undefined) return [];
    const where = `${file}: outputs[${index}].template: ${template}`;
    try {
      return templateProblems(readFileSync(template, "utf8")).map((problem) => `${where}: ${problem}`);
    } catch (error) {
      return [`${where} cannot be read: ${error instanceof Error ? error.message : error}`];
    }
  });
  if (problems.length > 0) {
    throw new MooringError("ERR_CONFIG_INVALID", `the templates of ${file} have problems`, {
      path: file,
      problems,
    });
  }
}
