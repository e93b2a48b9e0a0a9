// `show` and `list` of enrollments and groups.

import type { Command } from "commander";
import type { CommandKind } from "./enrollment-kind.ts";
import { enrollmentCells, enrollmentHeading, reportEnrollment, withoutKeys } from "./enrollment-output.ts";
import { type ListOptions, printListing, withListOptions } from "./listing.ts";
import { type ServiceOptions, withServiceClient, withServiceOptions } from "./service-client.ts";

export function addShow(command: Command, kind: CommandKind): void {
  withServiceOptions(command.argument("<id>", `the ${kind.noun}`))
    .description(
      kind.command === "enrollment"
        ? "print one, and what became of its device"
        : "print one; `registration list --group` has its devices",
    )
    .option("--keys", "with its symmetric keys")
    .action(async (id: string, options: ServiceOptions & { keys?: boolean }) => {
      const row = await withServiceClient(options, async (client, { signal }) => {
        const shown = await kind.of(client).get(id, { signal });
        if (!options.keys) return withoutKeys(shown);
        return { ...shown, attestation: await kind.of(client).attestation(id, { signal }) };
      });
      reportEnrollment(row, undefined, { ...options, keys: true });
    });
}

export function addList(command: Command, kind: CommandKind): void {
  withListOptions(withServiceOptions(command))
    .description("print all of them, as they come")
    .addHelpText("after", listHelp(kind))
    .action(async (options: ServiceOptions & ListOptions) => {
      await withServiceClient(
        options,
        (client, tools) =>
          printListing(
            {
              heading: enrollmentHeading,
              cells: (row) => enrollmentCells(row, kind),
              idOf: kind.idOf,
              read: async function* () {
                for await (const row of kind.of(client).list(tools)) yield withoutKeys(row);
              },
            },
            options,
            tools,
          ),
        {},
      );
    });
}

const listHelp = ({ command }: CommandKind): string => `
Examples:
  $ mooring ${command} list --search plant-7
  $ mooring ${command} list --json | jq -r '.[] | select(.provisioningStatus == "disabled")'
  $ mooring ${command} list --watch 5            a terminal is drawn anew
  $ mooring ${command} list --watch | logger     elsewhere: what was added, changed or removed, one JSON a line`;
