// What the bench plays on, in one temporary directory: the local service and a software TPM in processes of their
// own, a CA whose devices may register, and a gateway's configuration for each way to register.

import { execFile, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { promisify } from "node:util";
import { openServiceClient, type ServiceClient } from "../../src/enrollment/client.ts";
import { parseConnectionString } from "../../src/enrollment/connection-string.ts";
import { systemClock } from "../../src/system/clock.ts";
import { type Swtpm, startSwtpm } from "../support/swtpm.ts";

const execute = promisify(execFile);

/** The built program: what ships is what is measured. */
export const program = resolve(import.meta.dirname, "../../dist/main.js");

export interface Certificate {
  readonly certificate: string;
  readonly privateKey: string;
}

interface Service {
  readonly pid: number;
  readonly idScope: string;
  readonly httpsPort: number;
  readonly mqttPort: number;
  readonly caFile: string;
  /** Of the policy that may do everything. */
  readonly connectionString: string;
}

export interface Stage extends AsyncDisposable {
  readonly directory: string;
  readonly service: Service;
  /** Base64, of a group that takes every registration id. */
  readonly groupKey: string;
  /** A device certificate from the CA of an enrolled group. */
  issueCertificate(registrationId: string): Promise<Certificate>;
  /** Writes a configuration that names the service; `identity` is TOML. Resolves to its path. */
  writeConfig(name: string, transport: "https" | "mqtt", identity: string): Promise<string>;
  /** A software TPM with its keys made and its endorsement key enrolled. */
  openTpm(): Promise<Swtpm>;
}

export async function openStage(): Promise<Stage> {
  await using undo = new AsyncDisposableStack();
  const directory = await mkdtemp(join(tmpdir(), "mooring-bench-"));
  undo.defer(() => rm(directory, { recursive: true, force: true }));
  const { client, ...service } = undo.use(await startService(join(directory, "service")));
  const authority = await makeAuthority(directory);
  const groupKey = randomBytes(32).toString("base64");
  await enrollGroups(client, { signingCertificate: await readFile(authority.certificate, "utf8"), groupKey });

  const writeConfig: Stage["writeConfig"] = async (name, transport, identity) => {
    const file = join(directory, `${name}.toml`);
    const { idScope, caFile, httpsPort, mqttPort } = service;
    const lines = [
      `[provisioning]\nendpoint = "localhost"\nid_scope = "${idScope}"\nca_file = "${caFile}"`,
      `transport = "${transport}"\nports = { https = ${httpsPort}, mqtt = ${mqttPort} }`,
      `${identity}\n[state]\ndirectory = "${join(directory, `${name}.state`)}"\n`,
    ];
    await writeFile(file, lines.join("\n"));
    return file;
  };
  const built = undo.move();
  return {
    directory,
    service,
    groupKey,
    issueCertificate: (registrationId) => issueCertificate(directory, authority, registrationId),
    writeConfig,
    openTpm: async () => {
      const swtpm = built.use(await startSwtpm());
      const config = await writeConfig(
        "enrolling",
        "https",
        `[identity]\nsource = "tpm"\ntpm = { tcti = "${swtpm.tcti}" }`,
      );
      const shown = await execute(process.execPath, [program, "identity", "show", "--json", "-c", config]);
      const { registrationId, endorsementKey } = JSON.parse(shown.stdout);
      const attestation = { type: "tpm", tpm: { endorsementKey } } as const;
      await client.enrollments.put(
        registrationId,
        { registrationId, attestation },
        { signal: AbortSignal.timeout(10_000) },
      );
      return swtpm;
    },
    [Symbol.asyncDispose]: () => built.disposeAsync(),
  };
}

async function startService(data: string): Promise<Service & { client: ServiceClient } & AsyncDisposable> {
  const args = ["--data", data, "--https-port", "0", "--mqtt-port", "0", "--retry-after", "0", "--json"];
  const child = spawn(process.execPath, [program, "service", "run", ...args], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const ended = once(child, "exit");
  const stop = async (): Promise<void> => {
    child.kill("SIGTERM");
    await ended;
  };
  const firstLine = once(createInterface({ input: child.stdout }), "line").then(([line]) => line as string);
  const line = await Promise.race([firstLine, ended.then(() => undefined)]);
  if (line === undefined || child.pid === undefined) throw new Error("the local service did not start");
  const { idScope, httpsPort, mqttPort, caFile, connectionString } = JSON.parse(line);
  const client = openServiceClient({
    connection: parseConnectionString(connectionString),
    ca: await readFile(caFile, "utf8"),
    clock: systemClock,
  });
  return {
    pid: child.pid,
    idScope,
    httpsPort,
    mqttPort,
    caFile,
    connectionString,
    client,
    [Symbol.asyncDispose]: async () => {
      client.close();
      await stop();
    },
  };
}

async function enrollGroups(
  { enrollmentGroups }: ServiceClient,
  { signingCertificate, groupKey }: { signingCertificate: string; groupKey: string },
): Promise<void> {
  const signal = AbortSignal.timeout(10_000);
  const signingCertificates = { primary: { certificate: signingCertificate } };
  const certified = { type: "x509", x509: { signingCertificates } } as const;
  const keyed = {
    type: "symmetricKey",
    symmetricKey: { primaryKey: groupKey, secondaryKey: randomBytes(32).toString("base64") },
  } as const;
  await enrollmentGroups.put(
    "certified",
    { enrollmentGroupId: "certified", attestation: certified },
    { signal },
  );
  await enrollmentGroups.put("keyed", { enrollmentGroupId: "keyed", attestation: keyed }, { signal });
}

const newKey = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"];

async function makeAuthority(directory: string): Promise<Certificate> {
  const [certificate, privateKey] = [join(directory, "ca.pem"), join(directory, "ca.key")];
  const purpose = ["-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=keyCertSign"];
  const files = ["-keyout", privateKey, "-out", certificate];
  await execute("openssl", ["req", "-x509", ...newKey, "-subj", "/CN=bench CA", ...purpose, ...files]);
  return { certificate, privateKey };
}

async function issueCertificate(
  directory: string,
  authority: Certificate,
  registrationId: string,
): Promise<Certificate> {
  const devices = join(directory, "devices");
  await mkdir(devices, { recursive: true });
  const certificate = join(devices, `${registrationId}.pem`);
  const privateKey = join(devices, `${registrationId}.key`);
  const signer = ["-CA", authority.certificate, "-CAkey", authority.privateKey];
  const purpose = ["-addext", "basicConstraints=critical,CA:FALSE", "-addext", "extendedKeyUsage=clientAuth"];
  const files = ["-keyout", privateKey, "-out", certificate];
  const subject = ["-subj", `/CN=${registrationId}`];
  await execute("openssl", ["req", "-x509", ...newKey, ...subject, ...signer, ...purpose, ...files]);
  return { certificate, privateKey };
}
