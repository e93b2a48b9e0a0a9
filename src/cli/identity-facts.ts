// `mooring identity facts`: what the registration id and the payload can be made of on this machine.

import type { Command } from "commander";
import { factOf } from "../agent/facts.ts";
import { readOwnFacts } from "../agent/identity.ts";
import { loadConfig } from "../config/load.ts";
import { asMooringError } from "../errors.ts";
import { type Fact, machineFacts } from "../system/facts.ts";
import { type CommonOptions, commandTools, withCommonOptions } from "./options.ts";
import { paint, printFacts, printJson } from "./output.ts";

export function addFactsCommand(identity: Command): void {
  withCommonOptions(identity.command("facts"))
    .description("print the facts that registration_id and payload may use")
    .addHelpText(
      "after",
      `
Write for example registration_id = "gw-\${serial}". Without a configuration it prints what the machine
tells; what a certificate or a TPM tells needs [identity].`,
    )
    .action(async (options: CommonOptions) => {
      const facts = Object.entries({ ...(await machineFacts()), ...(await ownFacts(options)) });
      if (options.json)
        printJson(
          Object.fromEntries(facts.map(([name, fact]) => [name, "value" in fact ? fact.value : null])),
        );
      else printFacts(Object.fromEntries(facts.map(([name, fact]) => [`\${${name}}`, shown(fact)])));
    });
}

async function ownFacts(options: CommonOptions): Promise<Record<string, Fact>> {
  try {
    const own = await readOwnFacts(loadConfig(options.config), commandTools(options));
    return { cn: await factOf("cn", own), "ek-sha256": await factOf("ek-sha256", own) };
  } catch (error) {
    const unread = { missing: asMooringError(error).message };
    return { cn: unread, "ek-sha256": unread };
  }
}

const shown = (fact: Fact): string => ("value" in fact ? fact.value : paint("dim", `– (${fact.missing})`));
