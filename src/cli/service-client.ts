// How commands reach the service API: options, environment, and the open client they end in.

import { readFileSync } from "node:fs";
import type { Command } from "commander";
import type { ServiceClient } from "../enrollment/client.ts";
import { MooringError } from "../errors.ts";
import { commandTools } from "./options.ts";

export interface ServiceOptions {
  readonly service?: string;
  readonly serviceFile?: string;
  readonly caFile?: string;
  readonly json?: boolean;
}

export const withServiceOptions = (command: Command): Command =>
  command
    .option("--service-file <file>", "file with the service's connection string (default: $MOORING_SERVICE)")
    .option("--service <string>", "the connection string itself; other users of this machine can see it")
    .option("--ca-file <file>", "CA to trust in place of the system's (default: $MOORING_SERVICE_CA)")
    .option("--json", "print JSON for scripts");

/** For work of many requests: a busy service is waited for, and `onWait` told. */
export interface LongWork {
  readonly onWait?: (waitMs: number, because: MooringError) => void;
}

type Tools = ReturnType<typeof commandTools>;

/** Opens a client for `use`, and closes it whatever happens. SIGINT and SIGTERM stop what is under way. */
export async function withServiceClient<Result>(
  options: ServiceOptions,
  use: (client: ServiceClient, tools: Tools) => Promise<Result>,
  longWork?: LongWork,
): Promise<Result> {
  const { openServiceClient } = await import("../enrollment/client.ts");
  const { parseConnectionString } = await import("../enrollment/connection-string.ts");
  const caFile = options.caFile ?? process.env["MOORING_SERVICE_CA"];
  const tools = commandTools({});
  const client = openServiceClient({
    connection: parseConnectionString(connectionString(options)),
    ca: caFile === undefined ? undefined : readInput(caFile).toString(),
    clock: tools.clock,
    patience: longWork && { ...tools, random: Math.random, onWait: longWork.onWait },
  });
  try {
    return await use(client, tools);
  } finally {
    client.close();
  }
}

function connectionString({ service, serviceFile }: ServiceOptions): string {
  if (service !== undefined) return service;
  if (serviceFile !== undefined) return readInput(serviceFile).toString();
  const fromEnvironment = process.env["MOORING_SERVICE"];
  if (fromEnvironment) return fromEnvironment;
  throw new MooringError(
    "ERR_CONNECTION_STRING",
    "which service? neither --service-file nor MOORING_SERVICE names one",
  );
}

/** The bytes of a file that an option names. Throws ERR_USAGE. */
export function readInput(file: string): Buffer {
  try {
    return readFileSync(file);
  } catch (cause) {
    throw new MooringError("ERR_USAGE", `cannot read ${file}`, { cause, path: file });
  }
}
