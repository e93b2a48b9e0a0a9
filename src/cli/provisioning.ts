// What `mooring provision`, `reprovision` and `rollback` do, with all that keeping an assignment needs and nothing that
// only other commands do: most boots do nothing else.

import type { Tools } from "../agent/connect.ts";
import type { Accepted } from "../agent/control/wire.ts";
import type { Provisioned } from "../agent/provision.ts";
import { loadConfig } from "../config/load.ts";
import type { Config } from "../config/schema.ts";
import { asOwner, viaDaemon } from "./daemon.ts";
import { ending } from "./ending.ts";
import { type CommonOptions, commandTools, defaultConfig } from "./options.ts";
import { printJson, printLine, printRows } from "./output.ts";
import type { PlainOptions } from "./plain-words.ts";
import { tell } from "./provisioned-text.ts";

interface ReprovisionOptions extends CommonOptions {
  readonly wait?: boolean;
  readonly dryRun?: boolean;
}

/** The whole program, as units and scripts start it; answers with the exit code. */
export function provisionPlainly(
  command: "provision" | "reprovision",
  { config = defaultConfig(), ...how }: PlainOptions,
): Promise<number> {
  const act = command === "provision" ? provisionNow : reprovision;
  return ending(() => act({ config, ...how }), { json: how.json ?? false, verbose: how.verbose ?? false });
}

/** The same for the daemon's errands. */
export const errandPlainly = (): Promise<number> => ending(errand, { json: false, verbose: false });

export const errand = async (): Promise<void> => (await import("./errand.ts")).runErrand();

export async function provisionNow(options: CommonOptions): Promise<void> {
  const config = loadConfig(options.config);
  const tools = commandTools(options);
  const told = await viaDaemon(config, { do: "provision", wait: true }, tools);
  const done = isDone(told) ? told : await provisionHere(config, { ...tools, operatorAsks: false });
  tell(options, done, done.trigger === undefined ? "kept" : "assigned");
}

export async function reprovision(options: ReprovisionOptions): Promise<void> {
  const config = loadConfig(options.config);
  const tools = commandTools(options);
  if (options.dryRun) return showPlan(config, options, tools);
  const told = await viaDaemon(config, { do: "reprovision", wait: options.wait ?? false }, tools);
  if (told !== "no daemon" && "accepted" in told) {
    if (options.json) printJson(told);
    else
      printLine(
        "The daemon is at it. See how it goes with `mooring status`; the old assignment stays meanwhile.",
      );
    return;
  }
  const done = isDone(told) ? told : await provisionHere(config, { ...tools, operatorAsks: true });
  tell(options, done, done.trigger === undefined ? "kept" : "assigned");
}

const isDone = (told: Provisioned | Accepted | "no daemon"): told is Provisioned =>
  told !== "no daemon" && "outputs" in told;

async function provisionHere(config: Config, how: Tools & { operatorAsks: boolean }): Promise<Provisioned> {
  const { provision } = await import("../agent/provision.ts");
  return provision(config, how);
}

async function showPlan(config: Config, { json }: CommonOptions, tools: Tools): Promise<void> {
  const [{ planReprovision }, { planRows }] = await Promise.all([
    import("../agent/plan.ts"),
    import("./plan-text.ts"),
  ]);
  asOwner(config);
  const plan = await planReprovision(config, tools);
  if (json) return printJson(plan);
  printLine("Nothing was sent and nothing was changed. `mooring reprovision`");
  printLine();
  printRows(planRows(plan));
}

export async function rollBackNow(options: CommonOptions): Promise<void> {
  const config = loadConfig(options.config);
  const tools = commandTools(options);
  const told = await viaDaemon(config, { do: "rollback" }, tools);
  const done = told === "no daemon" ? await rollBackHere(config, tools) : told;
  tell(options, done, "rolled-back", config.reprovision.onChange);
}

const rollBackHere = async (config: Config, tools: Tools): Promise<Provisioned> =>
  (await import("../agent/rollback.ts")).rollBack(config, tools);
