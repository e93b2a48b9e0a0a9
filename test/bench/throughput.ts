// How many whole registrations the local service bears. Devices register from two processes of their own; each one
// is a new TCP and TLS session without resumption, a register, and the polls that its answer asks for.

import { fork } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Verdict } from "./aims.ts";
import { busyMs } from "./busy.ts";
import type { Load, LoadResult } from "./load.ts";
import type { Stage } from "./stage.ts";
import { median } from "./statistics.ts";

export interface Throughput {
  readonly attestation: Load["attestation"];
  readonly transport: Load["transport"];
  /** One number a run. */
  readonly perSecond: readonly number[];
  /** Medians. */
  readonly latencyMs: number;
  readonly serviceCpuMs: number;
  readonly clientCpuMs: number;
}

const rounds = 3;
const processes = 2;
const kinds = [
  { attestation: "symmetricKey", transport: "https" },
  { attestation: "x509", transport: "https" },
  { attestation: "symmetricKey", transport: "mqtt" },
  { attestation: "x509", transport: "mqtt" },
] as const;

export async function measureThroughput(
  stage: Stage,
  { seconds, clients }: { seconds: number; clients: number },
): Promise<Throughput[]> {
  const perProcess = Math.ceil(clients / processes);
  const devices = await Promise.all(
    Array.from({ length: processes * perProcess }, async (_, index) => {
      const registrationId = `load-${index}`;
      const { certificate, privateKey } = await stage.issueCertificate(registrationId);
      return {
        registrationId,
        certificate: await readFile(certificate, "utf8"),
        privateKey: await readFile(privateKey, "utf8"),
      };
    }),
  );
  const { idScope, httpsPort, mqttPort, caFile } = stage.service;
  const common = {
    idScope,
    ca: await readFile(caFile, "utf8"),
    groupKey: stage.groupKey,
    devices,
  };
  const results: Throughput[] = [];
  for (const { attestation, transport } of kinds) {
    const port = transport === "https" ? httpsPort : mqttPort;
    const load = {
      ...common,
      attestation,
      transport,
      port,
      seconds,
      clients: Math.ceil(clients / processes),
    };
    await runLoads({ ...load, seconds: 1, run: `${transport}-warm-up` }, stage);
    const runs: Run[] = [];
    for (let round = 0; round < rounds; round++)
      runs.push(await runLoads({ ...load, run: `${transport}-${round}` }, stage));
    results.push({
      attestation,
      transport,
      perSecond: runs.map((run) => run.perSecond),
      latencyMs: median(runs.flatMap((run) => run.latenciesMs)),
      serviceCpuMs: median(runs.map((run) => run.serviceCpuMs)),
      clientCpuMs: median(runs.map((run) => run.clientCpuMs)),
    });
  }
  return results;
}

interface Run {
  readonly perSecond: number;
  readonly latenciesMs: readonly number[];
  /** Per registration. */
  readonly serviceCpuMs: number;
  readonly clientCpuMs: number;
}

async function runLoads(load: Omit<Load, "process">, { service }: Stage): Promise<Run> {
  const before = busyMs(service.pid);
  const loads = await Promise.all(
    Array.from({ length: processes }, (_, process) => runLoad({ ...load, process })),
  );
  const latenciesMs = loads.flatMap((result) => result.latenciesMs);
  const count = latenciesMs.length;
  return {
    perSecond: loads.reduce((sum, result) => sum + (1000 * result.latenciesMs.length) / result.elapsedMs, 0),
    latenciesMs,
    serviceCpuMs: (busyMs(service.pid) - before) / count,
    clientCpuMs: loads.reduce((sum, result) => sum + result.cpuMs, 0) / count,
  };
}

async function runLoad(load: Load): Promise<LoadResult> {
  const child = fork(join(import.meta.dirname, "load.ts"), {
    stdio: ["ignore", "inherit", "inherit", "ipc"],
  });
  child.send(load);
  const [result] = await Promise.race([
    once(child, "message"),
    once(child, "exit").then(([code]) => {
      throw new Error(`the load ended with ${code}`);
    }),
  ]);
  child.disconnect();
  return result as LoadResult;
}

const leastPerSecond = 150;

export function throughputVerdict({ attestation, transport, perSecond }: Throughput): Verdict {
  const got = median(perSecond);
  return {
    what: `service, ${attestation} over ${transport}: registrations`,
    aim: `≥ ${leastPerSecond} /s`,
    got: `${got.toFixed(0)} /s`,
    met: got >= leastPerSecond,
  };
}
