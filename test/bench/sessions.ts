// What many MQTT sessions at the same time cost the local service: each belongs to a device that has registered and
// stays connected. Meanwhile others register as ever.

import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Verdict } from "./aims.ts";
import type { Load, LoadResult } from "./load.ts";
import type { SessionLoad } from "./session-load.ts";
import type { Stage } from "./stage.ts";
import { median } from "./statistics.ts";

export interface Sessions {
  readonly sessions: number;
  /** Resident memory of the service, in KiB. */
  readonly beforeKiB: number;
  readonly openKiB: number;
  readonly afterKiB: number;
  readonly descriptors: number;
  readonly mostDescriptors: number;
  /** Median of whole registrations over HTTPS, one after the other. */
  readonly latencyMs: { readonly alone: number; readonly among: number };
  readonly lost: number;
}

const processes = 2;

export async function measureSessions(stage: Stage, sessions: number): Promise<Sessions> {
  const { service, groupKey } = stage;
  const { idScope, mqttPort, pid } = service;
  const ca = await readFile(service.caFile, "utf8");
  const others = (run: string): Promise<number> => registerOthers(stage, ca, run);

  const alone = await others("alone");
  const beforeKiB = residentKiB(pid);
  const children = Array.from({ length: processes }, (_, number): ChildProcess => {
    const child = fork(join(import.meta.dirname, "session-load.ts"), {
      stdio: ["ignore", "inherit", "inherit", "ipc"],
    });
    const each = Math.floor(sessions / processes) + (number < sessions % processes ? 1 : 0);
    const load: SessionLoad = { idScope, port: mqttPort, ca, groupKey, sessions: each, prefix: `s${number}` };
    child.send(load);
    return child;
  });
  await Promise.all(children.map(answerOf));
  const openKiB = residentKiB(pid);
  const descriptors = readdirSync(`/proc/${pid}/fd`).length;
  const among = await others("among");
  const ends = await Promise.all(
    children.map(async (child) => {
      const end = answerOf(child);
      child.send("close");
      const { lost } = (await end) as { lost: number };
      child.disconnect();
      return lost;
    }),
  );
  await others("after");
  return {
    sessions,
    beforeKiB,
    openKiB,
    afterKiB: residentKiB(pid),
    descriptors,
    mostDescriptors: descriptorLimit(pid),
    latencyMs: { alone, among },
    lost: ends.reduce((sum, lost) => sum + lost, 0),
  };
}

async function answerOf(child: ChildProcess): Promise<unknown> {
  const ended = once(child, "exit").then(([code]) => {
    throw new Error(`the sessions ended with ${code}`);
  });
  const [answer] = (await Promise.race([once(child, "message"), ended])) as [unknown];
  ended.catch(() => {});
  return answer;
}

/** Two seconds of registrations, one at a time, from another process. */
async function registerOthers({ service, groupKey }: Stage, ca: string, run: string): Promise<number> {
  const child = fork(join(import.meta.dirname, "load.ts"), {
    stdio: ["ignore", "inherit", "inherit", "ipc"],
  });
  const { idScope, httpsPort: port } = service;
  const common = { idScope, port, ca, groupKey, devices: [] };
  const load: Load = {
    ...common,
    attestation: "symmetricKey",
    transport: "https",
    clients: 1,
    seconds: 2,
    run,
    process: 0,
  };
  child.send(load);
  const { latenciesMs } = (await answerOf(child)) as LoadResult;
  child.disconnect();
  return median([...latenciesMs]);
}

const residentKiB = (pid: number): number => numberIn(`/proc/${pid}/status`, /^VmRSS:\s+(\d+) kB$/m);

const descriptorLimit = (pid: number): number => numberIn(`/proc/${pid}/limits`, /^Max open files\s+(\d+)/m);

const numberIn = (file: string, pattern: RegExp): number =>
  Number(pattern.exec(readFileSync(file, "utf8"))?.[1] ?? Number.NaN);

const perSessionKiB = ({ sessions, beforeKiB, openKiB }: Sessions): number =>
  (openKiB - beforeKiB) / sessions;

const mib = (kib: number): string => `${(kib / 1024).toFixed(0)} MiB`;

export function sessionsText(measured: Sessions): string {
  const { sessions, beforeKiB, openKiB, afterKiB, descriptors, mostDescriptors, latencyMs } = measured;
  return `
${sessions} MQTT sessions at the same time, each of a device that has registered:
  memory of the service   ${mib(beforeKiB)} before, ${mib(openKiB)} with them, ${mib(afterKiB)} after them
  for each session        ${perSessionKiB(measured).toFixed(1)} KiB
  file descriptors        ${descriptors} of ${mostDescriptors}
  a registration          ${latencyMs.alone.toFixed(1)} ms before, ${latencyMs.among.toFixed(1)} ms among them (HTTPS, median)`;
}

const mostKiB = 100;

export const sessionVerdicts = (measured: Sessions): Verdict[] => [
  {
    what: `service, ${measured.sessions} MQTT sessions: memory of each`,
    aim: `≤ ${mostKiB} KiB`,
    got: `${perSessionKiB(measured).toFixed(1)} KiB`,
    met: perSessionKiB(measured) <= mostKiB,
  },
  {
    what: `service, ${measured.sessions} MQTT sessions: lost`,
    aim: "0",
    got: `${measured.lost}`,
    met: measured.lost === 0,
  },
];
