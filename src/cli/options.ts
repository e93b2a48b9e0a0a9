// Options that every command understands, and what a command gets to work with.

import type { Command } from "commander";
import type { Tools } from "../agent/connect.ts";
import { MooringError } from "../errors.ts";
import { systemClock } from "../system/clock.ts";
import { commandLog } from "./log.ts";

export interface CommonOptions {
  readonly config: string;
  readonly json?: boolean;
  readonly verbose?: boolean;
}

export const defaultConfig = (): string => process.env["MOORING_CONFIG"] ?? "/etc/mooring/config.toml";

export const withConfigOption = (command: Command): Command =>
  command.option("-c, --config <file>", "configuration to use", defaultConfig());

/** `--config`, `--json` and `--verbose`. */
export const withCommonOptions = (command: Command): Command =>
  withConfigOption(command)
    .option("--json", "print one JSON object for scripts")
    .option("--verbose", "say every step, and show where a failure came from");

/** Clock, log, and a signal that SIGINT and SIGTERM abort: whatever is under way stops, and nothing is half-written. */
export function commandTools({ verbose = false }: { verbose?: boolean | undefined }): Tools {
  const stop = new AbortController();
  for (const name of ["SIGINT", "SIGTERM"] as const) {
    process.once(name, () => stop.abort(new MooringError("ERR_CANCELLED", `stopped by ${name}`)));
  }
  return { clock: systemClock, log: commandLog({ verbose }), signal: stop.signal };
}
