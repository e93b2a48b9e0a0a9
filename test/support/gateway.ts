// A gateway of the tests: a temporary directory with its configuration, identity files and state.

import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "vitest";
import { mooring, type Run, type RunOptions, type Started, startMooring } from "./mooring.ts";

/** Where a gateway believes its provisioning service to be. */
export interface ServiceAddress {
  readonly idScope: string;
  readonly httpsPort: number;
  readonly mqttPort: number;
  readonly caFile?: string;
  /** MQTT over WebSockets, when it is not on the HTTPS port. */
  readonly mqttWsPort?: number;
}

export interface GatewayOptions {
  /** TOML of the tables [identity] and below. */
  readonly identity: string;
  /** Further lines of [provisioning]. */
  readonly provisioning?: string;
  /** TOML of [[outputs]]; the default is hub.env in the state directory. */
  readonly outputs?: string;
}

export interface Gateway extends Disposable {
  readonly directory: string;
  readonly configFile: string;
  readonly stateDirectory: string;
  /** Path of a file in its directory. */
  file(name: string): string;
  configure(service: ServiceAddress, options: GatewayOptions): void;
  /** `mooring COMMAND --json` with its configuration. */
  run(command: string, options?: RunOptions & { args?: readonly string[] }): Promise<Run>;
  start(command: string, options?: RunOptions): Started;
  /** `current/assignment.json`, parsed. */
  assignment(): Record<string, unknown>;
  /** What must never appear in what the program prints or publishes: bytes of keys, texts of passwords. */
  keepSecret(...secrets: readonly (string | Buffer)[]): void;
}

export function createGateway(service?: ServiceAddress, options?: GatewayOptions): Gateway {
  const directory = mkdtempSync(join(tmpdir(), "mooring-gateway-"));
  const file = (name: string): string => join(directory, name);
  const configFile = file("config.toml");
  const stateDirectory = file("state");
  const secrets: string[] = [];

  const watch = (run: Run): Run => {
    const published = existsSync(join(stateDirectory, "hub.env"))
      ? readFileSync(join(stateDirectory, "hub.env"), "utf8")
      : "";
    for (const secret of secrets) {
      for (const text of [run.stdout, run.stderr, published]) {
        expect(text.includes(secret), "a secret was printed or published").toBe(false);
      }
    }
    return run;
  };
  const gateway: Gateway = {
    directory,
    configFile,
    stateDirectory,
    file,
    configure: (address, wanted) => writeFileSync(configFile, configuration(address, wanted, stateDirectory)),
    run: async (command, { args = [], ...rest } = {}) =>
      watch(await mooring([...command.split(" "), "--config", configFile, "--json", ...args], rest)),
    start: (command, rest) => {
      const { child, ended } = startMooring([...command.split(" "), "--config", configFile, "--json"], rest);
      return { child, ended: ended.then(watch) };
    },
    assignment: () => JSON.parse(readFileSync(join(stateDirectory, "current/assignment.json"), "utf8")),
    keepSecret: (...more) => secrets.push(...more.flatMap(secretForms)),
    [Symbol.dispose]: () => rmSync(directory, { recursive: true, force: true }),
  };
  if (service && options) gateway.configure(service, options);
  return gateway;
}

function configuration(
  { idScope, httpsPort, mqttPort, mqttWsPort = httpsPort, caFile }: ServiceAddress,
  { identity, provisioning = "", outputs = "" }: GatewayOptions,
  stateDirectory: string,
): string {
  return `[provisioning]
endpoint = "localhost"
id_scope = "${idScope}"
${caFile === undefined ? "" : `ca_file = "${caFile}"`}
${provisioning}
[provisioning.ports]
https = ${httpsPort}
mqtt = ${mqttPort}
mqtt_ws = ${mqttWsPort}
${identity}
[state]
directory = "${stateDirectory}"
${outputs}
`;
}

/** A key can leak as it is, in base64 of either alphabet, in hex, or as the body of its PEM. */
export function secretForms(secret: string | Buffer): string[] {
  if (typeof secret === "string") {
    return secret.includes("-----BEGIN")
      ? secret.split("\n").filter((line) => line.length > 40 && !line.startsWith("-----"))
      : [secret];
  }
  const forms = (["base64", "base64url", "hex"] as const).map((encoding) => secret.toString(encoding));
  return [...forms, secret.toString("hex").toUpperCase()];
}

/** The fields of an assignment that other programs rely on. */
export const publicFields = [
  "assignedHub",
  "deviceId",
  "registrationId",
  "idScope",
  "attestation",
  "transport",
  "substatus",
  "assignedAt",
] as const;

export const publicPart = (assignment: Record<string, unknown>): Record<string, unknown> =>
  Object.fromEntries(publicFields.map((name) => [name, assignment[name]]));
