// `npm run bench`: what a registration costs, beside a bare start of Node, the smallest script that does it and
// Azure's own SDK; and how many registrations the local service bears. All in one session, interleaved.

import { writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { type Results, type Verdict, verdicts } from "./aims.ts";
import { diskText, diskVerdicts, measureDisk } from "./disk.ts";
import { benchFleet } from "./fleet.ts";
import { openMeter, type Sample } from "./measure.ts";
import { measureMemory, memoryText, memoryVerdicts } from "./memory.ts";
import { flatVerdict, measureRates, measureSizes } from "./operators.ts";
import {
  machine,
  operatorTables,
  resultTable,
  serviceChart,
  throughputTable,
  verdictTable,
} from "./report.ts";
import { measureSessions, sessionsText, sessionVerdicts } from "./sessions.ts";
import { openStage, type Stage } from "./stage.ts";
import { median, summarize } from "./statistics.ts";
import { prepare, type SubjectName, subjectNames } from "./subjects.ts";
import { measureThroughput, type Throughput, throughputVerdict } from "./throughput.ts";

const usage = `npm run bench -- [service|programs|memory|disk|sessions|fleet] [options]
  service          the local service's throughput alone
  programs         the programs alone
  memory           what the daemon takes while it rests, and after --count re-provisionings; not part of the rest
  disk             what the package and the agent take of the disk
  sessions         what many MQTT sessions at the same time cost the local service
  fleet            ten thousand devices in virtual time; needs no machine, and is not part of the rest
  --runs N         measured runs of each program (15)
  --only A,B       of these alone: ${subjectNames.join(", ")}
  --seconds N      length of each throughput run (5)
  --clients N      devices that register at the same time (32)
  --sessions N     how many (5000)
  --count N        re-provisionings (1000)
  --json FILE      write every sample there
  --chart FILE     write a picture of the local service's throughput there, as SVG`;

const say = (text: string): void => void process.stdout.write(`${text}\n`);

function readArguments() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      runs: { type: "string", default: "15" },
      only: { type: "string", default: subjectNames.join(",") },
      seconds: { type: "string", default: "5" },
      clients: { type: "string", default: "32" },
      sessions: { type: "string", default: "5000" },
      count: { type: "string", default: "1000" },
      json: { type: "string" },
      chart: { type: "string" },
      help: { type: "boolean", default: false },
    },
  });
  const [part = "all"] = positionals;
  const only = new Set(["bare", ...values.only.split(",")] as SubjectName[]);
  const known =
    ["all", "service", "programs", "memory", "disk", "sessions", "fleet"].includes(part) &&
    [...only].every((name) => subjectNames.includes(name));
  return { ...values, part, only, help: values.help || !known };
}

type Samples = Map<SubjectName, { readonly samples: Sample[]; readonly tpmMs: number[] }>;

/** One run of each that does not count, then rounds; every second one backwards, so that nobody has a fixed place. */
async function runPrograms(stage: Stage, only: Set<SubjectName>, runs: number): Promise<Samples> {
  const subjects = await prepare(stage, only);
  const taken: Samples = new Map(subjects.map(({ name }) => [name, { samples: [], tpmMs: [] }]));
  await using meter = openMeter(stage.directory);
  for (const { name, argv, check } of subjects) {
    const { output } = await meter.run({ argv: name === "keep" ? argv.with(2, "reprovision") : argv });
    if (name !== "keep") check(output);
  }
  for (let round = 0; round < runs; round++) {
    for (const { name, argv, check, tpmMs } of round % 2 === 0 ? subjects : subjects.toReversed()) {
      const { sample, output } = await meter.run({ argv });
      check(output);
      taken.get(name)?.samples.push(sample);
      if (tpmMs) taken.get(name)?.tpmMs.push(await tpmMs());
    }
  }
  return taken;
}

const resultsOf = (samples: Samples): Results =>
  Object.fromEntries(
    [...samples].map(([name, taken]) => [
      name,
      { ...summarize(taken.samples), ...(taken.tpmMs.length > 0 && { tpmMs: median(taken.tpmMs) }) },
    ]),
  );

async function bench(): Promise<void> {
  const { part, only, runs, seconds, clients, sessions, count, json, chart, help } = readArguments();
  if (help) return say(usage);
  if (part === "fleet") return benchFleet(say, "docs/fleet.svg");
  await using stage = await openStage();
  say(machine());
  const record: Record<string, unknown> = { machine: machine() };
  const judged: Verdict[] = [];

  if (part === "all" || part === "programs") {
    const samples = await runPrograms(stage, only, Number(runs));
    const results = resultsOf(samples);
    say(resultTable(results, Number(runs)));
    judged.push(...verdicts(results));
    record["programs"] = Object.fromEntries(samples);
  }
  if (part === "all" || part === "service") {
    const throughput: Throughput[] = await measureThroughput(stage, {
      seconds: Number(seconds),
      clients: Number(clients),
    });
    say(throughputTable(throughput, Number(clients)));
    judged.push(...throughput.map(throughputVerdict));
    const rates = await measureRates(stage, Number(seconds));
    const sizes = await measureSizes(stage, say);
    say(operatorTables(rates, sizes));
    judged.push(flatVerdict(sizes));
    record["service"] = { throughput, rates, sizes };
    if (chart !== undefined) writeFileSync(chart, serviceChart(throughput, rates));
  }
  if (part === "memory") {
    const memory = await measureMemory(stage, Number(count));
    say(memoryText(memory));
    judged.push(...memoryVerdicts(memory));
    record["memory"] = memory;
  }
  if (part === "all" || part === "disk") {
    const disk = await measureDisk(stage);
    say(diskText(disk));
    judged.push(...diskVerdicts(disk));
    record["disk"] = disk;
  }
  if (part === "all" || part === "sessions") {
    const measured = await measureSessions(stage, Number(sessions));
    say(sessionsText(measured));
    judged.push(...sessionVerdicts(measured));
    record["sessions"] = measured;
  }
  say(verdictTable(judged));
  if (json !== undefined) writeFileSync(json, `${JSON.stringify({ ...record, judged }, undefined, 2)}\n`);
}

await bench();
