// `mooring service hub|policy|quota …`: what the local service does, changed while it runs.

import { type Command, Option } from "commander";
import type { Hub, Management, Policy, Quotas } from "../enrollment/management.ts";
import { MooringError } from "../errors.ts";
import { ask, type ConfirmOptions, mustAsk } from "./confirmation.ts";
import { integer } from "./integer.ts";
import { printFacts, printJson, printLine } from "./output.ts";
import { type ServiceOptions, withServiceClient, withServiceOptions } from "./service-client.ts";
import { addServicePortalCommand } from "./service-portal.ts";
import { addScenarioCommands } from "./service-scenario.ts";
import { openTable } from "./table.ts";

export function addServiceManagementCommands(service: Command): void {
  addHubCommands(service.command("hub").description("hubs that devices may be assigned to"));
  addPolicyCommands(
    service.command("policy").description("keys that operators sign in with, and what they allow"),
  );
  addServicePortalCommand(service);
  addScenarioCommands(
    service.command("scenario").description("what the service does wrong on purpose, to try devices"),
  );
  addQuotaCommands(service.command("quota").description("how much a minute is let in, as Azure limits it"));
}

interface HubOptions extends ServiceOptions {
  readonly weight?: number;
  readonly latency?: number;
}

function addHubCommands(commands: Command): void {
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

function addPolicyCommands(commands: Command): void {
  withServiceOptions(commands.command("list"))
    .description("print names and permissions; the keys only with --keys")
    .option("--keys", "with their keys")
    .action(async (options: ServiceOptions & { keys?: boolean }) => {
      const policies = await withServiceClient(options, ({ management }, waiting) =>
        management.policies(waiting),
      );
      const shown = policies.map((policy) => (options.keys ? policy : withoutKeys(policy)));
      if (options.json) printJson(shown);
      else if (options.keys) for (const policy of policies) printPolicy(policy);
      else
        openTable(["POLICY", "PERMISSIONS"]).add(
          policies.map(({ name, permissions }) => [name, permissions.join(" ")]),
        );
    });
  withServiceOptions(commands.command("rotate").argument("<name>", "the policy"))
    .description("replace one of its two keys; who uses that key is shut out")
    .addOption(
      new Option("--key <which>", "which of them").choices(["primary", "secondary"]).makeOptionMandatory(),
    )
    .option("--keys", "print the new keys")
    .option("--yes", "do not ask")
    .addHelpText("after", rotateHelp)
    .action(rotate);
}

const rotateHelp = `
Without anybody being shut out: move everybody to the secondary key, rotate the primary, move them back.
The service writes its connection-string file anew when its own key is rotated.

Example:
  $ mooring service policy rotate enrollmentwrite --key primary --yes --keys --json`;

const withoutKeys = ({ name, permissions }: Policy): Pick<Policy, "name" | "permissions"> => ({
  name,
  permissions,
});

const printPolicy = ({ name, permissions, primaryKey, secondaryKey }: Policy): void =>
  printFacts({
    policy: name,
    permissions: permissions.join(" "),
    "primary key": primaryKey,
    "secondary key": secondaryKey,
  });

interface RotateOptions extends ServiceOptions, ConfirmOptions {
  readonly key: "primary" | "secondary";
  readonly keys?: boolean;
}

async function rotate(name: string, options: RotateOptions): Promise<void> {
  const { key } = options;
  const asking = mustAsk(options, `rotate the ${key} key of ${name}`);
  const policy = await withServiceClient(options, async ({ management, keyName }, { signal }) => {
    const own = keyName === name ? " Your own connection string may be one of them." : "";
    const consequences = [`Whoever uses the ${key} key of ${name} is refused from then on.${own}`];
    if (asking) await ask({ consequences, question: `Replace it?` }, { signal });
    return management.rotateKey(name, key, { signal });
  });
  if (options.json) printJson(options.keys ? policy : withoutKeys(policy));
  else if (options.keys) printPolicy(policy);
  else printLine(`${name} has a new ${key} key; \`mooring service policy list --keys\` prints it`);
}

interface QuotaOptions extends ServiceOptions {
  readonly registrations?: number | "none";
  readonly serviceCalls?: number | "none";
}

function addQuotaCommands(commands: Command): void {
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
