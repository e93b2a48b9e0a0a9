// `mooring service scenario …`: lets the local service do wrong on purpose, to see what a device makes of it.

import { Argument, type Command, InvalidArgumentError, Option } from "commander";
import {
  type Scenario,
  type ScenarioList,
  type ScenarioTarget,
  scenarioKinds,
} from "../enrollment/scenarios.ts";
import { MooringError } from "../errors.ts";
import { integer } from "./integer.ts";
import { paint, printJson, printLine } from "./output.ts";
import { type ServiceOptions, withServiceClient, withServiceOptions } from "./service-client.ts";
import { openTable } from "./table.ts";

interface TargetOptions extends ServiceOptions {
  readonly enrollment?: string;
  readonly enrollmentGroup?: string;
}

interface SetOptions extends TargetOptions {
  readonly retryAfter?: number;
  readonly polls?: number;
  readonly delay?: number;
  readonly skew?: number;
  readonly times?: number;
}

const kinds = `
Kinds:
  throttle            429, with the Retry-After of --retry-after (10 s)
  assigning           a registration takes --polls polls more (3)
  assigning-forever   a registration never ends
  duplicate           MQTT: every answer comes twice; HTTPS: every registration is given the same operation
  late                every answer comes after --delay (10000 ms)
  cut-after-202       the connection ends right after the 202
  wrong-key           TPM: a challenge that no TPM opens; others: 401 whatever they show
  malformed-json      every answer breaks off in the middle
  clock-skew          the service's clock is off by --skew (86400 s); HTTPS says so in its Date header
  disconnect          the connection ends, at CONNECT or at register
The nearest one counts: of the device's enrollment, else of its group, else of the service.

Example, what a gateway does when it is throttled twice:
  $ mooring service scenario set throttle --retry-after 5 --times 2 --enrollment gw-0001
  $ mooring service scenario clear --enrollment gw-0001`;

export function addScenarioCommands(commands: Command): void {
  withTarget(commands.command("set").addArgument(new Argument("<kind>", "see below").choices(scenarioKinds)))
    .description("do wrong on purpose; the service logs `scenario.applied` each time")
    .option("--retry-after <seconds>", "for throttle", integer(0, 86_400))
    .option("--polls <n>", "for assigning", integer(1, 10_000))
    .option("--delay <ms>", "for late", integer(1, 600_000))
    .option("--skew <seconds>", "for clock-skew; negative for a clock that is behind", seconds)
    .option("--times <n>", "end after so many uses", integer(1, 1_000_000))
    .addHelpText("after", kinds)
    .action(set);
  withServiceOptions(commands.command("show")).description("print what is on").action(show);
  withTarget(commands.command("clear"))
    .description("do right again; registrations that were held up go on")
    .option("--all", "for everybody")
    .action(clear);
}

const withTarget = (command: Command): Command =>
  withServiceOptions(
    command
      .addOption(new Option("--enrollment <id>", "for this device alone").conflicts("enrollmentGroup"))
      .option("--enrollment-group <id>", "for the devices of this group (default: for all)"),
  );

const seconds = (text: string): number => {
  if (/^-?\d{1,9}$/.test(text)) return Number(text);
  throw new InvalidArgumentError("It must be a whole number of seconds.");
};

const targetOf = ({ enrollment, enrollmentGroup }: TargetOptions): ScenarioTarget => {
  if (enrollment !== undefined) return { of: "enrollments", id: enrollment };
  return enrollmentGroup === undefined ? { of: "service" } : { of: "enrollmentGroups", id: enrollmentGroup };
};

async function set(kind: Scenario["kind"], options: SetOptions): Promise<void> {
  const target = targetOf(options);
  const scenario = await withServiceClient(options, ({ management }, waiting) =>
    management.scenarios.set(target, scenarioFrom(kind, options), waiting),
  );
  if (options.json) printJson(scenario);
  else printLine(`${inWords(scenario)}, for ${nameOf(target)}`);
}

/** The one number that each kind may have; others have none. */
const numbers: readonly [Scenario["kind"], "retryAfter" | "polls" | "delay" | "skew", keyof Scenario][] = [
  ["throttle", "retryAfter", "retryAfterSeconds"],
  ["assigning", "polls", "polls"],
  ["late", "delay", "delayMs"],
  ["clock-skew", "skew", "skewSeconds"],
];

function scenarioFrom(kind: Scenario["kind"], options: SetOptions): Scenario {
  const { times } = options;
  const given = numbers.filter(([, option]) => options[option] !== undefined);
  for (const [other, option] of given) {
    if (other === kind) continue;
    const name = option === "retryAfter" ? "retry-after" : option;
    throw new MooringError("ERR_USAGE", `--${name} is for the scenario ${other}, and not for ${kind}`);
  }
  return {
    kind,
    ...Object.fromEntries(given.map(([, option, member]) => [member, options[option]])),
    ...(times !== undefined && { times }),
  };
}

async function show(options: ServiceOptions): Promise<void> {
  const list = await withServiceClient(options, ({ management }, waiting) =>
    management.scenarios.list(waiting),
  );
  if (options.json) printJson(list);
  else if (targetsOf(list).length === 0) printLine("no scenario is on");
  else {
    const rows = targetsOf(list).map(([target, scenario]) => [nameOf(target), inWords(scenario)]);
    openTable(["FOR", "SCENARIO"]).add(rows);
  }
}

async function clear(options: TargetOptions & { all?: boolean }): Promise<void> {
  const cleared = await withServiceClient(options, async ({ management }, waiting) => {
    const targets = options.all
      ? targetsOf(await management.scenarios.list(waiting)).map(([target]) => target)
      : [targetOf(options)];
    const done: string[] = [];
    for (const target of targets) {
      if (await management.scenarios.clear(target, waiting)) done.push(nameOf(target));
    }
    return done;
  });
  if (options.json) printJson({ cleared });
  else if (cleared.length === 0) printLine("there was none");
  else for (const name of cleared) printLine(`${paint("green", "cleared")} for ${name}`);
}

const targetsOf = ({
  service,
  enrollments,
  enrollmentGroups,
}: ScenarioList): [ScenarioTarget, Scenario][] => [
  ...(service ? [[{ of: "service" }, service] satisfies [ScenarioTarget, Scenario]] : []),
  ...Object.entries(enrollments).map(([id, scenario]): [ScenarioTarget, Scenario] => [
    { of: "enrollments", id },
    scenario,
  ]),
  ...Object.entries(enrollmentGroups).map(([id, scenario]): [ScenarioTarget, Scenario] => [
    { of: "enrollmentGroups", id },
    scenario,
  ]),
];

const nameOf = (target: ScenarioTarget): string =>
  target.of === "service"
    ? "everybody"
    : `${target.of === "enrollments" ? "enrollment" : "enrollment group"} ${target.id}`;

function inWords({ kind, retryAfterSeconds, polls, delayMs, skewSeconds, times }: Scenario): string {
  return [
    kind,
    retryAfterSeconds === undefined ? "" : `Retry-After ${retryAfterSeconds} s`,
    polls === undefined ? "" : `${polls} polls`,
    delayMs === undefined ? "" : `${delayMs} ms`,
    skewSeconds === undefined ? "" : `${skewSeconds} s`,
    times === undefined ? "" : times === 1 ? "once" : `${times} times`,
  ]
    .filter(Boolean)
    .join(", ");
}
