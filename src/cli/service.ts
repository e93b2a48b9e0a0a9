// `mooring service run`: the local provisioning service in the foreground, until SIGTERM or Ctrl-C. With --json
// every line on standard output is one event, and the first of them says where the service is.

import { dirname, resolve } from "node:path";
import type { Command } from "commander";
import { causeText } from "../errors.ts";
import type { RunningService } from "../service/service.ts";
import { systemClock } from "../system/clock.ts";
import { isJournalStream } from "../system/journal-stream.ts";
import type { Fields, Log } from "../system/log.ts";
import { integer } from "./integer.ts";
import { printLine } from "./output.ts";
import { readCertificates } from "./service-client.ts";

interface RunOptions {
  data: string;
  host: string;
  httpsPort: number;
  mqttPort: number;
  hostname: string[];
  hub: string[];
  retryAfter: number;
  webhookCaFile?: string;
  json?: boolean;
}

/** Answers with the group, for what else there is to do with a service. */
export function addServiceCommands(program: Command): Command {
  const service = program
    .command("service")
    .description("the local provisioning service (DPS on your own machine)");
  service
    .command("run")
    .description("run it in the foreground; SIGTERM or Ctrl-C stops it")
    .requiredOption(
      "--data <directory>",
      "where it keeps its CA, its enrollments and its keys; made when missing",
    )
    .option("--host <address>", "address to listen on; 0.0.0.0 for all of IPv4, :: for all", "127.0.0.1")
    .option("--https-port <port>", "HTTPS and MQTT over WebSockets; 0 takes any", integer(0, 65_535), 8443)
    .option("--mqtt-port <port>", "MQTT over TLS; 0 takes any", integer(0, 65_535), 8883)
    .option("--hostname <name...>", "names or addresses by which devices reach it, for its certificate", [])
    .option("--hub <host...>", "hubs to link, if they are not yet; they stay linked", [])
    .option("--retry-after <seconds>", "what 202 asks for; 0 answers at once", integer(0, 300), 3)
    .option("--webhook-ca-file <file>", "CA to trust beside the system's for webhooks of custom allocation")
    .option("--json", "print events as JSON, one a line")
    .addHelpText("after", help)
    .action(run);
  return service;
}

const help = `
Examples:
  $ mooring service run --data ./dps
  $ mooring service run --data /srv/dps --host 0.0.0.0 --https-port 443 --hostname dps.plant.example

SDKs other than Mooring know only the ports 443 and 8883; give those to let them in.`;

async function run({ json = false, ...options }: RunOptions): Promise<void> {
  const { startService } = await import("../service/service.ts");
  const stopSignal = nextSignal("SIGTERM", "SIGINT");
  process.stdout.on("error", () => {}); // who listened may leave; the devices are still there
  const service = await startService({
    dataDirectory: resolve(options.data),
    host: options.host,
    httpsPort: options.httpsPort,
    mqttPort: options.mqttPort,
    hostnames: options.hostname,
    hubs: options.hub,
    retryAfterSeconds: options.retryAfter,
    ...(options.webhookCaFile !== undefined && { webhookCa: readCertificates(options.webhookCaFile) }),
    clock: systemClock,
    log: eventLog(json ? jsonLine : humanLine),
  });
  printLine(json ? readyLine(service) : banner(service, options.host));
  const signal = await stopSignal;
  await service.stop();
  printLine((json ? jsonLine : humanLine)("service.stopped", { signal }));
}

function readyLine(service: RunningService): string {
  const { idScope, httpsPort, mqttPort, caFile, connectionString } = service;
  const portal = service.newPortalLink();
  return jsonLine("service.ready", { idScope, httpsPort, mqttPort, caFile, connectionString, portal });
}

const banner = (service: RunningService, host: string): string => `\
Local provisioning service, id scope ${service.idScope}

  HTTPS and MQTT over WebSockets   ${host} port ${service.httpsPort}
  MQTT over TLS                    ${host} port ${service.mqttPort}
  CA that devices must trust       ${service.caFile}
  Operator's connection string     ${service.connectionStringFile}

The portal, in a browser that trusts this CA:
  ${portalLine(service)}

Enroll a device, in another terminal:
  export MOORING_SERVICE="$(cat '${service.connectionStringFile}')" MOORING_SERVICE_CA='${service.caFile}'
  mooring enrollment create --help
Point the device's /etc/mooring/config.toml here:
  [provisioning]
  endpoint = "localhost"
  id_scope = "${service.idScope}"
  ca_file  = "${service.caFile}"
  [provisioning.ports]
  https = ${service.httpsPort}
  mqtt = ${service.mqttPort}
  mqtt_ws = ${service.httpsPort}
Ctrl-C stops it. What happens is told below.`;

/** The journal is read by many, and for long: no secret goes there. */
const portalLine = (service: RunningService): string =>
  isJournalStream(process.stdout.fd)
    ? `mooring service portal --data '${dirname(service.connectionStringFile)}'   prints a link`
    : `${service.newPortalLink()}   (once, within ten minutes)`;

/** Info and above; debug is for tests. */
function eventLog(line: (event: string, fields: Fields) => string): Log {
  const tell = (event: string, fields: Fields = {}): void => printLine(line(event, fields));
  return { debug: () => {}, info: tell, warn: tell, error: tell };
}

const jsonLine = (event: string, fields: Fields): string => JSON.stringify({ event, ...printable(fields) });

function humanLine(event: string, fields: Fields): string {
  const time = new Date(systemClock.now()).toTimeString().slice(0, 8);
  const words = Object.entries(printable(fields)).map(([name, value]) => `${name}=${value}`);
  return [time, event.padEnd(18), ...words].join(" ");
}

/** Errors as the text of their causes; the rest as it is, without what is undefined. */
function printable(fields: Fields): Fields {
  const entries = Object.entries(fields).filter(([, value]) => value !== undefined);
  return Object.fromEntries(
    entries.map(([name, value]) => [name, value instanceof Error ? causeText(value) : value]),
  );
}

/** Listens from now on, so that a signal during the start is not lost. */
function nextSignal(...signals: NodeJS.Signals[]): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    for (const signal of signals) process.once(signal, resolve);
  });
}
