// A gateway for the crash-point sweep: with its TPM, if it has one, it can be put back to where it was before, start
// without network, and be asked what it has lost.

import { cpSync, existsSync, mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { type FaultInjector, faultInjector } from "./fault-injector.ts";
import { createGateway, type Gateway } from "./gateway.ts";
import type { LocalService } from "./local-service.ts";
import { type Expected, type Foreign, findLitter, findLosses, nameAt } from "./loss-check.ts";
import { mooring, type Run, succeed } from "./mooring.ts";
import { issue, tpmIdentity, x509Identity } from "./pki.ts";
import { type Swtpm, startSwtpm } from "./swtpm.ts";

export interface Outcome {
  /** Device id before the command; absent when there is no assignment yet. */
  readonly before: string | undefined;
  /** Device id that the command makes the gateway have. */
  readonly after: string;
  /** What is run in peace after an accident, and the device ids that the gateway may have then. */
  readonly mended: { readonly by: string; readonly to: readonly string[] };
}

export interface Lane extends AsyncDisposable {
  readonly gateway: Gateway;
  readonly swtpm: Swtpm | undefined;
  readonly injector: FaultInjector;
  /** Gives the enrollment a device id: the next registration answers with it. */
  enroll(deviceId: string): Promise<void>;
  run(command: string, under?: readonly string[]): Promise<Run>;
  remember(name: string): void;
  recall(name: string): Promise<void>;
  /** Starts again without network, looks for losses, has it mended with network, and looks again. */
  losses(outcome: Outcome): Promise<string[]>;
}

export async function openLane(
  service: LocalService,
  registrationId: string,
  { kind, transport }: { kind: "tpm" | "x509"; transport: "https" | "mqtt" },
): Promise<Lane> {
  const swtpm = kind === "tpm" ? await startSwtpm() : undefined;
  const foreign = swtpm && (await plantForeignKey(swtpm));
  const memory = swtpm && join(swtpm.directory, "tpm2-00.permall");
  const gateway = createGateway();
  const device = issue(gateway.directory, registrationId);
  gateway.keepSecret(device.key);
  const identity = swtpm
    ? tpmIdentity(swtpm.tcti, `registration_id = "${registrationId}"`)
    : x509Identity(device.certificateFile, device.keyFile);
  const provisioning = `transport = "${transport}"`;
  gateway.configure({ ...service, httpsPort: 1, mqttPort: 1 }, { identity, provisioning });
  cpSync(gateway.configFile, gateway.file("offline.toml"));
  gateway.configure(service, { identity, provisioning });

  const lane = {
    gateway,
    swtpm,
    injector: faultInjector(gateway.directory, [gateway.stateDirectory, ...(swtpm ? [swtpm.directory] : [])]),
    run: (command: string, under: readonly string[] = []) => gateway.run(command, { under }),
    remember: (name: string) => {
      mkdirSync(gateway.file(name));
      copyState(gateway.stateDirectory, gateway.file(`${name}/state`));
      if (memory) cpSync(memory, gateway.file(`${name}/tpm`));
    },
    recall: async (name: string) => {
      rmSync(gateway.stateDirectory, { recursive: true, force: true });
      copyState(gateway.file(`${name}/state`), gateway.stateDirectory);
      if (!swtpm || !memory) return;
      await swtpm.kill();
      cpSync(gateway.file(`${name}/tpm`), memory);
      await swtpm.restart();
    },
    [Symbol.asyncDispose]: async () => {
      gateway[Symbol.dispose]();
      await swtpm?.stop();
    },
  };
  lane.remember("blank");
  const attestation = swtpm
    ? {
        type: "tpm",
        tpm: { endorsementKey: (await succeed(gateway.run("identity show")))["endorsementKey"] },
      }
    : { type: "x509", x509: { clientCertificates: { primary: { certificate: device.certificate } } } };

  return {
    ...lane,
    enroll: (deviceId) =>
      service.enroll(`/enrollments/${registrationId}`, { registrationId, attestation, deviceId }),
    losses: async (outcome) => {
      if (swtpm && !isRunning(swtpm.pid)) await swtpm.restart();
      return [
        ...(await lossesWithoutNetwork(lane, outcome, { service, foreign })),
        ...(await lossesAfterMending(lane, outcome, { service, foreign })),
      ];
    },
  };
}

type Bare = Pick<Lane, "gateway" | "swtpm" | "run">;
type Around = { readonly service: LocalService; readonly foreign: Foreign | undefined };

async function lossesWithoutNetwork(
  { gateway, swtpm }: Bare,
  { before, after }: Outcome,
  around: Around,
): Promise<string[]> {
  const offline = (command: string): Promise<Run> =>
    mooring([command, "--config", gateway.file("offline.toml"), "--json"]);
  const losses: string[] = [];
  const { usable } = (await offline("status")).json as { usable?: { assignment?: object } };
  if (before !== undefined || usable?.assignment) {
    const run = await offline("provision");
    if (run.code !== 0 || run.json["outcome"] !== "kept")
      losses.push(`nothing is served offline: ${run.stderr}`);
  }
  const served = before === undefined ? [after] : [before, after];
  const expected: Expected = { served, mayHaveNone: before === undefined, ...around };
  return [...losses, ...(await findLosses(gateway, swtpm, expected))];
}

async function lossesAfterMending(
  { gateway, swtpm, run }: Bare,
  { mended }: Outcome,
  around: Around,
): Promise<string[]> {
  const again = await run(mended.by);
  if (again.code !== 0) return [`it does not converge: ${again.stderr}`];
  const losses = [
    ...(await findLosses(gateway, swtpm, { served: mended.to, ...around })),
    ...findLitter(gateway),
  ];
  return losses.map((loss) => `after ${mended.by}, ${loss}`);
}

async function plantForeignKey(swtpm: Swtpm): Promise<Foreign> {
  const handle = "0x81000200";
  await swtpm.tool("tpm2_createprimary", "-C", "o", "-g", "sha256", "-G", "ecc", "-c", "foreign.ctx");
  await swtpm.tool("tpm2_evictcontrol", "-C", "o", "-c", "foreign.ctx", handle);
  await swtpm.tool("tpm2_flushcontext", "-t");
  return { handle, name: await nameAt(swtpm, handle) };
}

function copyState(from: string, to: string): void {
  if (existsSync(from)) cpSync(from, to, { recursive: true, verbatimSymlinks: true });
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
