// `mooring service policy …`: the keys of the service's operators.

import { type Command, Option } from "commander";
import type { Policy } from "../enrollment/management.ts";
import { ask, type ConfirmOptions, mustAsk } from "./confirmation.ts";
import { printFacts, printJson, printLine } from "./output.ts";
import { type ServiceOptions, withServiceClient, withServiceOptions } from "./service-client.ts";
import { openTable } from "./table.ts";

export function addPolicyCommands(commands: Command): void {
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
