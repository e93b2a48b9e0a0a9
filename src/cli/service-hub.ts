// `mooring service hub …`: where devices may go, changed while the service runs.

import type { Command } from "commander";
import type { Hub, Management } from "../enrollment/management.ts";
import { MooringError } from "../errors.ts";
import { integer } from "./integer.ts";
import { printJson, printLine } from "./output.ts";
import { type ServiceOptions, withServiceClient, withServiceOptions } from "./service-client.ts";
import { openTable } from "./table.ts";

interface HubOptions extends ServiceOptions {
  readonly weight?: number;
  readonly latency?: number;
}

export function addHubCommands(commands: Command): void {
  withServiceOptions(commands.command("list"))
    .description("print the linked hubs")
    .action(async (options: ServiceOptions) => {
      const hubs = await withServiceClient(options, ({ management }, waiting) => management.hubs(waiting));
      if (options.json) printJson(hubs);
      else openTable(["HUB", "WEIGHT", "LATENCY", "DEVICES"]).add(hubs.map(hubCells));
    });
  withHubOptions(commands.command("add"))
    .description("link a hub, so that devices are assigned to it from now on")
    .addHelpText("after", hubHelp)
    .action((host: string, options: HubOptions) => putHub(host, options, "linked"));
  withHubOptions(commands.command("update"))
    .description("change the weight or the latency of a linked hub")
    .action((host: string, options: HubOptions) => putHub(host, options, "updated"));
  withServiceOptions(commands.command("remove").argument("<host>", "the hub"))
    .description("unlink a hub; its devices stay until they register again")
    .option("--force", "even when enrollments name it, or it is the last")
    .action(async (host: string, options: ServiceOptions & { force?: boolean }) => {
      const { force = false } = options;
      await withServiceClient(options, ({ management }, { signal }) =>
        removeHub(host, force, management, signal),
      );
      if (options.json) printJson({ removed: host });
      else printLine(`hub ${host} unlinked`);
    });
}

const hubHelp = `
A hub of weight 2 gets twice the devices of a hub of weight 1 (--allocation hashed). The latency decides for
--allocation geo-latency: the lowest gets the device.

Example:
  $ mooring service hub add plant-b.example --weight 2 --latency 30 --service-file dps/connection-string`;

const withHubOptions = (command: Command): Command =>
  withServiceOptions(
    command
      .argument("<host>", "the hub")
      .option("--weight <n>", "its share of the devices", integer(1, 1000))
      .option("--latency <ms>", "its distance from the devices", integer(0, 600_000)),
  );

const hubCells = ({ hostName, allocationWeight, latencyMs, devices }: Hub): string[] => [
  hostName,
  `${allocationWeight}`,
  latencyMs === undefined ? "" : `${latencyMs} ms`,
  `${devices}`,
];

async function putHub(host: string, options: HubOptions, done: "linked" | "updated"): Promise<void> {
  const { weight, latency } = options;
  if (done === "updated" && weight === undefined && latency === undefined)
    throw new MooringError("ERR_USAGE", "nothing to change was given");
  const hub = await withServiceClient(options, async ({ management }, waiting) => {
    const known = findHub(await management.hubs(waiting), host);
    if (known && done === "linked")
      throw new MooringError("ERR_ENROLLMENT_CONFLICT", `hub ${host} is linked already`, {
        hint: "change it with `mooring service hub update`",
      });
    if (!known && done === "updated") throw noSuchHub(host);
    const wanted = {
      ...(weight !== undefined && { allocationWeight: weight }),
      ...(latency !== undefined && { latencyMs: latency }),
    };
    await management.putHub(host, wanted, waiting);
    return findHub(await management.hubs(waiting), host);
  });
  if (options.json) printJson(hub);
  else printLine(`hub ${host} ${done}`);
}

const findHub = (hubs: readonly Hub[], host: string): Hub | undefined =>
  hubs.find(({ hostName }) => hostName.toLowerCase() === host.toLowerCase());

const noSuchHub = (host: string, cause?: unknown): MooringError =>
  new MooringError("ERR_ENROLLMENT_NOT_FOUND", `no hub ${host} is linked`, {
    cause,
    hint: "list them with `mooring service hub list`",
  });

async function removeHub(
  host: string,
  force: boolean,
  management: Management,
  signal: AbortSignal,
): Promise<void> {
  try {
    await management.deleteHub(host, { force, signal });
  } catch (error) {
    if (!(error instanceof MooringError)) throw error;
    if (error.code === "ERR_ENROLLMENT_NOT_FOUND") throw noSuchHub(host, error);
    if (error.code !== "ERR_ENROLLMENT_CONFLICT") throw error;
    throw new MooringError(error.code, error.message, {
      ...error.details,
      cause: error,
      hint: "name another hub in those enrollments first, or unlink it all the same with --force",
    });
  }
}
