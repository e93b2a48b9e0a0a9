// How commands reach the service API: options, environment, and the open client they end in.

import { X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type Command, Option } from "commander";
import type { ServiceClient } from "../enrollment/client.ts";
import type { ServiceConnection } from "../enrollment/connection-string.ts";
import { MooringError } from "../errors.ts";
import { commandTools } from "./options.ts";

export interface ServiceOptions {
  readonly service?: string;
  readonly serviceFile?: string;
  readonly caFile?: string;
  /** Of a local service: both files are in it. */
  readonly data?: string;
  readonly json?: boolean;
}

export const withServiceOptions = (command: Command): Command =>
  command
    .option("--service-file <file>", "file with the service's connection string (default: $MOORING_SERVICE)")
    .option("--service <string>", "the connection string itself; other users of this machine can see it")
    .option("--ca-file <file>", "CA to trust in place of the system's (default: $MOORING_SERVICE_CA)")
    .addOption(
      new Option(
        "--data <directory>",
        "data directory of a local service, in place of --service-file and --ca-file",
      ).conflicts(["service", "serviceFile", "caFile"]),
    )
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
  const connection = await readConnection(options);
  const caFile = options.data === undefined ? options.caFile : join(options.data, "ca.pem");
  const trusted = caFile ?? process.env["MOORING_SERVICE_CA"];
  const tools = commandTools({});
  const client = openServiceClient({
    connection,
    proxy: options.data === undefined ? await proxyFor(connection) : undefined,
    ca: trusted === undefined ? undefined : readCertificates(trusted),
    clock: tools.clock,
    patience: longWork && { ...tools, random: Math.random, onWait: longWork.onWait },
  });
  try {
    return await use(client, tools);
  } finally {
    client.close();
  }
}

/** That of the environment, if one applies. What is on this machine no proxy could reach. */
async function proxyFor({ host, port }: ServiceConnection): Promise<string | undefined> {
  if (host === "localhost" || host === "::1" || /^127\.\d+\.\d+\.\d+$/.test(host)) return undefined;
  const { proxyFromEnvironment } = await import("../system/proxy.ts");
  return proxyFromEnvironment({ host, port });
}

/** Throws ERR_CONNECTION_STRING, or ERR_INPUT for a file that cannot be read. */
export async function readConnection(options: ServiceOptions): Promise<ServiceConnection> {
  const { parseConnectionString } = await import("../enrollment/connection-string.ts");
  return parseConnectionString(connectionString(options));
}

function connectionString({ service, serviceFile, data }: ServiceOptions): string {
  if (data !== undefined) return readInput(join(data, "connection-string")).toString();
  if (service !== undefined) return service;
  if (serviceFile !== undefined) return readInput(serviceFile).toString();
  const fromEnvironment = process.env["MOORING_SERVICE"];
  if (fromEnvironment) return fromEnvironment;
  throw new MooringError(
    "ERR_CONNECTION_STRING",
    "which service? neither --service-file nor --data nor MOORING_SERVICE names one",
  );
}

/** The bytes of a file that an option names. Throws ERR_INPUT. */
export function readInput(file: string): Buffer {
  try {
    return readFileSync(file);
  } catch (cause) {
    throw new MooringError("ERR_INPUT", `cannot read ${file}`, { cause, path: file });
  }
}

/** PEM. Throws ERR_INPUT; ERR_USAGE when there is no certificate in the file, which TLS would pass over in silence. */
export function readCertificates(file: string): string {
  const pem = readInput(file).toString();
  try {
    new X509Certificate(pem);
    return pem;
  } catch (cause) {
    throw new MooringError("ERR_USAGE", `there is no certificate in ${file}`, { cause, path: file });
  }
}
