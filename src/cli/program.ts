// The command line: what there is to say.

import { Command, CommanderError } from "commander";
import { MooringError } from "../errors.ts";
import { version } from "../system/version.ts";
import { addConfigCommands } from "./config.ts";
import { addDemoCommand } from "./demo.ts";
import { ending } from "./ending.ts";
import { addIdentityCommands } from "./identity.ts";
import { addManualCommand } from "./manual.ts";
import { addProvisionCommands } from "./provision.ts";
import { addErrandCommand, addRunCommand } from "./run.ts";
import { addServiceCommands } from "./service.ts";
import { addServiceBackupCommand } from "./service-backup.ts";
import { addStatusCommand } from "./status.ts";
import { addWaitCommand } from "./wait.ts";

const introduction =
  "Gives this gateway its place in the cloud: reads who it is from a TPM 2.0 or an X.509 certificate, registers " +
  "with the Azure IoT Hub Device Provisioning Service, and keeps the assigned hub and device id where other " +
  "programs find them.";

const firstSteps = `
First steps:
  mooring demo                                    see the whole thing run, on this machine alone
  mooring config example > /etc/mooring/config.toml
  mooring identity show                           what to enroll
  mooring provision                               register, or keep what there is

Exit codes: 0 done · 64 usage · 65 refused data · 66 nothing there · 69 unavailable · 70 bug
            73 cannot create · 74 disk · 75 try again · 77 no permission · 78 configuration`;

/** Runs one command line and answers with the exit code. */
export async function run(argv: readonly string[]): Promise<number> {
  const program = new Command("mooring")
    .description(introduction)
    .version(version)
    .addHelpText("after", firstSteps)
    .helpCommand("help [command]", "explain a command")
    .configureOutput({ outputError: () => {} })
    .exitOverride();
  for (const add of commandsFor(argv[2])) await add(program);
  return ending(() => obey(program, argv), {
    json: argv.includes("--json"),
    verbose: argv.includes("--verbose"),
  });
}

async function obey(program: Command, argv: readonly string[]): Promise<void> {
  try {
    await program.parseAsync(argv as string[]);
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode === 0) return;
    if (error.code !== "commander.help") throw usageError(error);
    // `mooring` alone: Commander has shown the help.
    process.exitCode = 64;
  }
}

type Add = (program: Command) => unknown;

const addEnrollment: Add = async (program) => (await import("./operator.ts")).addEnrollmentCommands(program);

const addRegistration: Add = async (program) =>
  (await import("./operator.ts")).addRegistrationCommands(program);

const addService: Add = async (program) => {
  const service = addServiceCommands(program);
  addServiceBackupCommand(service);
  (await import("./operator.ts")).addServiceManagementCommands(service);
};

const commands: Readonly<Record<string, Add>> = {
  run: addRunCommand,
  errand: addErrandCommand,
  provision: addProvisionCommands,
  reprovision: addProvisionCommands,
  rollback: addProvisionCommands,
  status: addStatusCommand,
  wait: addWaitCommand,
  identity: addIdentityCommands,
  config: addConfigCommands,
  enrollment: addEnrollment,
  "enrollment-group": addEnrollment,
  registration: addRegistration,
  service: addService,
  demo: addDemoCommand,
};

/** What a word does not name needs no building, which takes longer than to keep an assignment; help shows them all. */
const commandsFor = (word: string | undefined): Iterable<Add> =>
  word !== undefined && Object.hasOwn(commands, word)
    ? [commands[word] as Add]
    : new Set([...Object.values(commands), addManualCommand]);

const usageError = ({ message }: CommanderError): MooringError =>
  new MooringError("ERR_USAGE", message.replace(/^error: /, ""));
