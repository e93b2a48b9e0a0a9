// `mooring service backup`: a copy of everything that the local service remembers, made while it runs.

import { resolve } from "node:path";
import type { Command } from "commander";
import { printFacts, printJson, printLine } from "./output.ts";

const help = `
Example:
  $ mooring service backup --data ./dps ./dps-$(date +%F).db

To go back to it: stop the service, remove DIR/service.db-wal and DIR/service.db-shm, put the file in the place of
DIR/service.db, and start the service. It holds enrollments, registrations, keys of policies and symmetric keys: keep
it as you keep those. What devices trust is not in it; copy DIR/ca.pem and DIR/ca-key.pem once.`;

export function addServiceBackupCommand(service: Command): void {
  service
    .command("backup")
    .description("copy the store of the local service, which may go on running")
    .argument("<file>", "where to; must not exist yet")
    .requiredOption("--data <directory>", "the data directory of the service")
    .option("--json", "print the result as JSON")
    .addHelpText("after", help)
    .action(backup);
}

async function backup(file: string, options: { data: string; json?: boolean }): Promise<void> {
  const { backupStore } = await import("../service/backup.ts");
  const made = backupStore(resolve(options.data), resolve(file));
  if (options.json) {
    printJson(made);
    return;
  }
  const { idScope, enrollments, enrollmentGroups, registrations } = made;
  printLine(`${made.file}: ${(made.bytes / 1024 / 1024).toFixed(1)} MiB, whole and sound`);
  printFacts({ "id scope": idScope, enrollments, groups: enrollmentGroups, registrations });
}
