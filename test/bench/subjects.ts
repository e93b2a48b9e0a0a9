// Who is measured. Each subject is prepared once, and then every run of it does its whole job again.

import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { registerPath } from "../../src/registration/wire.ts";
import type { Command } from "./measure.ts";
import { type Certificate, program, type Stage } from "./stage.ts";
import { tpmStopwatch } from "./tpm-time.ts";

export interface Subject extends Command {
  readonly name: SubjectName;
  readonly what: string;
  /** Throws unless the run did what is measured. */
  readonly check: (output: string) => void;
  /** Times what it asks of its TPM, alone; resolves to milliseconds. */
  readonly tpmMs?: () => Promise<number>;
}

export type SubjectName = keyof typeof whats;

const whats = {
  bare: "node -e 0",
  smallest: "smallest HTTPS script, X.509",
  keep: "mooring provision, kept",
  "x509-https": "mooring, X.509 over HTTPS",
  "x509-mqtt": "mooring, X.509 over MQTT",
  "tpm-https": "mooring, TPM over HTTPS",
  "sdk-https": "Azure Node SDK, X.509 over HTTPS",
  "sdk-mqtt": "Azure Node SDK, X.509 over MQTT",
};

export const subjectNames = Object.keys(whats) as SubjectName[];

export const subjectWhat = (name: SubjectName): string => whats[name];

const peers = join(import.meta.dirname, "peers");
const smallestScript = fileURLToPath(import.meta.resolve("./peers/smallest.cjs"));
const sdkScript = fileURLToPath(import.meta.resolve("./peers/azure-sdk.cjs"));

export async function prepare(stage: Stage, names: ReadonlySet<SubjectName>): Promise<Subject[]> {
  if (names.has("sdk-https") || names.has("sdk-mqtt")) await installPeers();
  const chosen = subjectNames.filter((name) => names.has(name));
  return Promise.all(
    chosen.map(async (name) => ({ name, what: whats[name], ...(await makers[name](stage)) })),
  );
}

type Made = Omit<Subject, "name" | "what">;

const makers: Record<SubjectName, (stage: Stage) => Promise<Made>> = {
  bare: async () => ({ argv: [process.execPath, "-e", "0"], check: () => {} }),

  smallest: async ({ service, issueCertificate }) => {
    const path = registerPath(service.idScope, "smallest");
    const { certificate, privateKey } = await issueCertificate("smallest");
    const args = [String(service.httpsPort), path, service.caFile, certificate, privateKey];
    return { argv: [process.execPath, smallestScript, ...args], check: isAssigned };
  },

  keep: async (stage) => {
    const config = await stage.writeConfig(
      "keep",
      "mqtt",
      x509Identity(await stage.issueCertificate("keep")),
    );
    return { argv: mooring("provision", config), check: hasOutcome("kept") };
  },

  "x509-https": async (stage) => {
    const certificate = await stage.issueCertificate("x509-https");
    const config = await stage.writeConfig("x509-https", "https", x509Identity(certificate));
    return { argv: mooring("reprovision", config), check: hasOutcome("assigned") };
  },

  "x509-mqtt": async (stage) => {
    const certificate = await stage.issueCertificate("x509-mqtt");
    const config = await stage.writeConfig("x509-mqtt", "mqtt", x509Identity(certificate));
    return { argv: mooring("reprovision", config), check: hasOutcome("assigned") };
  },

  "tpm-https": async (stage) => {
    const swtpm = await stage.openTpm();
    const identity = `[identity]\nsource = "tpm"\ntpm = { tcti = "${swtpm.tcti}" }`;
    const config = await stage.writeConfig("tpm-https", "https", identity);
    return {
      argv: mooring("reprovision", config),
      check: hasOutcome("assigned"),
      tpmMs: await tpmStopwatch(swtpm.tcti),
    };
  },

  "sdk-https": (stage) => azureSdk(stage, "http", stage.service.httpsPort),

  "sdk-mqtt": (stage) => azureSdk(stage, "mqtt", stage.service.mqttPort),
};

/** `reprovision` registers anew each time; `provision` keeps what the first run got. */
const mooring = (verb: "provision" | "reprovision", config: string): string[] => [
  process.execPath,
  program,
  verb,
  "--json",
  "--config",
  config,
];

export const x509Identity = ({ certificate, privateKey }: Certificate): string =>
  `[identity]\nsource = "x509"\nx509 = { certificate = "${certificate}", private_key = "${privateKey}" }`;

async function azureSdk(
  { service, issueCertificate }: Stage,
  transport: "http" | "mqtt",
  port: number,
): Promise<Made> {
  const registrationId = `sdk-${transport}`;
  const { certificate, privateKey } = await issueCertificate(registrationId);
  const args = [
    transport,
    String(port),
    service.idScope,
    registrationId,
    service.caFile,
    certificate,
    privateKey,
  ];
  return { argv: [process.execPath, sdkScript, ...args], check: isAssigned };
}

async function installPeers(): Promise<void> {
  if (existsSync(join(peers, "node_modules"))) return;
  process.stderr.write("bench: installing Azure's device SDK, to compare with, into test/bench/peers\n");
  const quiet = ["--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"];
  await promisify(execFile)("npm", ["ci", ...quiet], { cwd: peers });
}

const isAssigned = (output: string): void => {
  if (typeof JSON.parse(output).assignedHub !== "string") throw new Error(`no assignment: ${output}`);
};

const hasOutcome =
  (outcome: "kept" | "assigned") =>
  (output: string): void => {
    if (JSON.parse(output).outcome !== outcome) throw new Error(`not ${outcome}: ${output}`);
  };
