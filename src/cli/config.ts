// `mooring config`: is the configuration right, and what may it say.

import { readFileSync } from "node:fs";
import type { Command } from "commander";
import { loadConfig } from "../config/load.ts";
import type { Config } from "../config/schema.ts";
import { causeText, MooringError } from "../errors.ts";
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
      await checkFiles(options.config, checked);
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

/** What is read only when the gateway registers, or has registered, is better found wrong now than then. */
async function checkFiles(file: string, config: Config): Promise<void> {
  const problems = [...(await namedFileProblems(config)), ...(await templateProblems(config))];
  if (problems.length === 0) return;
  throw new MooringError("ERR_CONFIG_INVALID", `the files that ${file} names have problems`, {
    path: file,
    problems: problems.map((problem) => `${file}: ${problem}`),
  });
}

async function namedFileProblems({ provisioning: { caFile, payloadFile } }: Config): Promise<string[]> {
  const { readCaFile, readPayloadFile } = await import("../agent/named-files.ts");
  const checks = [
    () => caFile !== undefined && readCaFile(caFile),
    () => payloadFile !== undefined && readPayloadFile(payloadFile),
  ];
  return checks.flatMap((check) => {
    try {
      check();
      return [];
    } catch (error) {
      return [causeText(error)];
    }
  });
}

async function templateProblems({ outputs }: Config): Promise<string[]> {
  const { templateProblems: problemsOf } = await import("../assignment/formats.ts");
  return outputs.flatMap(({ template }, index) => {
    if (template === undefined) return [];
    const where = `outputs[${index}].template: ${template}`;
    try {
      return problemsOf(readFileSync(template, "utf8")).map((problem) => `${where}: ${problem}`);
    } catch (error) {
      return [`${where} cannot be read: ${error instanceof Error ? error.message : error}`];
    }
  });
}
