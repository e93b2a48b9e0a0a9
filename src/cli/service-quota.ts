// `mooring service quota …`: how much a minute the service lets in.

import type { Command } from "commander";
import type { Quotas } from "../enrollment/management.ts";
import { MooringError } from "../errors.ts";
import { integer } from "./integer.ts";
import { printFacts, printJson } from "./output.ts";
import { type ServiceOptions, withServiceClient, withServiceOptions } from "./service-client.ts";

interface QuotaOptions extends ServiceOptions {
  readonly registrations?: number | "none";
  readonly serviceCalls?: number | "none";
}

export function addQuotaCommands(commands: Command): void {
  withServiceOptions(commands.command("show"))
    .description("print the quotas")
    .action(async (options: ServiceOptions) => {
      printQuotas(
        await withServiceClient(options, ({ management }, waiting) => management.quotas(waiting)),
        options,
      );
    });
  withServiceOptions(commands.command("set"))
    .description("change a quota; what is over it is answered 429 with Retry-After")
    .option("--registrations <n>", "registrations a minute, or none", quota)
    .option("--service-calls <n>", "calls of the service API a minute, or none", quota)
    .addHelpText("after", quotaHelp)
    .action(async (options: QuotaOptions) => {
      const { registrations, serviceCalls } = options;
      if (registrations === undefined && serviceCalls === undefined)
        throw new MooringError("ERR_USAGE", "nothing to change was given");
      const quotas = await withServiceClient(options, async ({ management }, waiting) => {
        const { registrationsPerMinute, serviceCallsPerMinute } = await management.quotas(waiting);
        const wanted = {
          registrationsPerMinute: orNull(registrations ?? registrationsPerMinute),
          serviceCallsPerMinute: orNull(serviceCalls ?? serviceCallsPerMinute),
        };
        return (await management.setQuotas(wanted, waiting)) ?? wanted;
      });
      printQuotas(quotas, options);
    });
}

const quotaHelp = `
Example, the limits of an Azure service:
  $ mooring service quota set --registrations 1000 --service-calls 1000
  $ mooring service quota set --registrations none`;

/** Commander takes null for an option without a value. */
const quota = (text: string): number | "none" => (text === "none" ? text : integer(1, 1_000_000)(text));

const orNull = (given: number | "none" | null): number | null => (given === "none" ? null : given);

function printQuotas(quotas: Quotas, { json }: ServiceOptions): void {
  const { registrationsPerMinute, serviceCallsPerMinute } = quotas;
  if (json) printJson({ registrationsPerMinute, serviceCallsPerMinute });
  else
    printFacts({
      "registrations a minute": registrationsPerMinute ?? "none",
      "service calls a minute": serviceCallsPerMinute ?? "none",
    });
}
