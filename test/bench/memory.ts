// What the daemon costs while it rests: after a start that keeps its assignment, and over many re-provisionings, which
// it is asked for on its socket. A bare Node that idles beside it is the measure, and shows what the machine itself does.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { appendFile, mkdir, readdir, readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { askDaemon } from "../../src/agent/control/client.ts";
import type { Answers } from "../../src/agent/control/wire.ts";
import { systemClock } from "../../src/system/clock.ts";
import type { Verdict } from "./aims.ts";
import { busyMs } from "./busy.ts";
import { program, type Stage } from "./stage.ts";
import { x509Identity } from "./subjects.ts";

/** Resident memory in KiB. */
interface Resident {
  readonly bare: number;
  readonly daemon: number;
}

export interface Memory {
  readonly count: number;
  readonly startCpuMs: { readonly first: number; readonly later: number };
  readonly atRest: Resident;
  /** After so many re-provisionings. */
  readonly later: readonly (Resident & { readonly done: number })[];
  /** Processes of the daemon that were left, once it had been idle for long enough. */
  readonly leftBehind: number;
}

const samples = 40;

export async function measureMemory(stage: Stage, count: number): Promise<Memory> {
  const gateway = await makeGateway(stage);
  await ending(gateway.start("provision"));
  const first = await startAndStop(gateway);
  const bare = spawn(process.execPath, ["-e", "setInterval(() => {}, 1e6)"], { stdio: "ignore" });
  const daemon = gateway.start("run");
  try {
    await gateway.listening();
    await Promise.all([restOf(bare), restOf(daemon)]);
    const resident = async (): Promise<Resident> => ({
      bare: await residentKiB(bare),
      daemon: await residentKiB(daemon),
    });
    const atRest = await resident();
    const startCpuMs = { first, later: busyMs(daemon.pid as number) };
    const later: Memory["later"][number][] = [];
    const step = Math.max(1, Math.round(count / samples));
    for (let done = 1; done <= count; done++) {
      await gateway.reprovision();
      if (done % step === 0 || done === count) later.push({ done, ...(await resident()) });
    }
    daemon.kill("SIGTERM");
    await ending(daemon);
    await appendFile(gateway.config, 'idle_exit = "1s"\n');
    await ending(gateway.start("run"));
    return { count, startCpuMs, atRest, later, leftBehind: await processesNaming(gateway.config) };
  } finally {
    bare.kill("SIGKILL");
    daemon.kill("SIGKILL");
  }
}

interface Gateway {
  readonly config: string;
  start(command: "run" | "provision"): ChildProcess;
  /** Resolves when the daemon can be asked, without asking it. */
  listening(): Promise<void>;
  reprovision(): Promise<void>;
}

/** As the unit starts it. */
function nodeOptions(): string {
  const [, options = ""] =
    /^Environment=NODE_OPTIONS=(.*)$/m.exec(readFileSync("systemd/mooring.service", "utf8")) ?? [];
  return options;
}

async function makeGateway(stage: Stage): Promise<Gateway> {
  const identity = x509Identity(await stage.issueCertificate("resident"));
  const config = await stage.writeConfig("resident", "mqtt", identity);
  const socket = join(stage.directory, "resident.run", "control.sock");
  await mkdir(dirname(socket));
  await appendFile(config, `[daemon]\ncontrol_socket = "${socket}"\n`);
  return {
    config,
    start: (command) =>
      spawn(process.execPath, [program, command, "--config", config], {
        env: { PATH: "/usr/bin:/bin", MOORING_LOG: "json", NODE_OPTIONS: nodeOptions() },
        stdio: ["ignore", "ignore", "ignore"],
      }),
    listening: async () => {
      while (!existsSync(socket)) await pause(20);
    },
    reprovision: async () => {
      const answer: Answers["reprovision"] | "no daemon" = await askDaemon(
        socket,
        { do: "reprovision", wait: true },
        {
          stateDirectory: join(stage.directory, "resident.state"),
          clock: systemClock,
          signal: AbortSignal.timeout(60_000),
        },
      );
      if (answer === "no daemon" || !("trigger" in answer)) throw new Error("nothing was provisioned");
    },
  };
}

/** One start that does not count: its end writes the cache of compiled code. Resolves to the CPU time until rest. */
async function startAndStop(gateway: Gateway): Promise<number> {
  const daemon = gateway.start("run");
  await gateway.listening();
  await restOf(daemon);
  const cpuMs = busyMs(daemon.pid as number);
  daemon.kill("SIGTERM");
  await ending(daemon);
  return cpuMs;
}

/** Resolves when the process has not computed for a while. */
async function restOf({ pid = 0 }: ChildProcess): Promise<void> {
  const quietMs = 500;
  let [before, now] = [0, busyMs(pid)];
  do {
    await pause(quietMs);
    [before, now] = [now, busyMs(pid)];
  } while (now - before > 1);
}

async function ending(child: ChildProcess): Promise<void> {
  if (child.exitCode === null) await once(child, "exit");
  if (child.exitCode !== 0) throw new Error(`${child.spawnargs.join(" ")} ended with ${child.exitCode}`);
}

async function residentKiB({ pid }: ChildProcess): Promise<number> {
  const [, kib] = /^VmRSS:\s+(\d+) kB$/m.exec(await readFile(`/proc/${pid}/status`, "utf8")) ?? [];
  return Number(kib);
}

async function processesNaming(word: string): Promise<number> {
  const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name));
  const lines = pids.map((pid) => readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => ""));
  return (await Promise.all(lines)).filter((line) => line.split("\0").includes(word)).length;
}

const most = ({ later }: Memory, who: keyof Resident): number => Math.max(...later.map((at) => at[who]));

const ratio = ({ bare, daemon }: Resident): number => daemon / bare;

/**
 * KiB per 1000 re-provisionings, from the lowest of the third quarter to the lowest of the last: between two collections
 * of garbage memory grows by mebibytes, which a line through all samples would take for a leak, or a leak for that.
 */
function growth({ count, later }: Memory, who: keyof Resident): number {
  const lowest = (from: number, to: number): number =>
    Math.min(...later.filter(({ done }) => done > from * count && done <= to * count).map((at) => at[who]));
  return (lowest(0.75, 1) - lowest(0.5, 0.75)) * (4000 / count);
}

const mib = (kib: number): string => `${(kib / 1024).toFixed(1)} MiB`;
const row = (what: string, bare: string, daemon: string): string =>
  `  ${what.padEnd(38)}${bare.padStart(12)}${daemon.padStart(14)}`;
const resident = (what: string, at: Resident): string =>
  `${row(what, mib(at.bare), mib(at.daemon))}   ${ratio(at).toFixed(2)} ×`;
const kib = (value: number): string => `${value.toFixed(0)} KiB`;

export function memoryText(memory: Memory): string {
  const { count, atRest, later, startCpuMs, leftBehind } = memory;
  const end = later.at(-1);
  return `
The daemon at rest, X.509 over MQTT, beside a bare Node that idles:
${row("resident memory", "bare", "daemon")}
${resident("after a start that keeps", atRest)}${end ? `\n${resident(`after ${count} re-provisionings`, end)}` : ""}
${row("most meanwhile", mib(most(memory, "bare")), mib(most(memory, "daemon")))}
${row("growth per 1000, garbage apart", kib(growth(memory, "bare")), kib(growth(memory, "daemon")))}
  CPU time of a start                   ${(startCpuMs.later / 1000).toFixed(2)} s; the first after a build ${(startCpuMs.first / 1000).toFixed(2)} s
  processes left after idle_exit        ${leftBehind}`;
}

const mostTimesBare = 1.3;
const mostKiB = 1024;

export function memoryVerdicts(memory: Memory): Verdict[] {
  const { count, atRest, later, leftBehind } = memory;
  const end = later.at(-1) ?? atRest;
  const grown = growth(memory, "daemon");
  const within = (what: string, at: Resident): Verdict => ({
    what,
    aim: `≤ ${mostTimesBare.toFixed(1)} × bare`,
    got: `${ratio(at).toFixed(2)} ×`,
    met: ratio(at) <= mostTimesBare,
  });
  return [
    within("daemon, at rest: resident memory", atRest),
    within(`daemon, after ${count} re-provisionings: resident memory`, end),
    {
      what: "daemon: growth per 1000 re-provisionings",
      aim: `≤ ${mostKiB} KiB`,
      got: kib(grown),
      met: grown <= mostKiB,
    },
    { what: "daemon, idle: processes left", aim: "0", got: `${leftBehind}`, met: leftBehind === 0 },
  ];
}
