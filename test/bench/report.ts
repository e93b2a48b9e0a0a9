// What a reader at a terminal gets to see.

import { cpus, loadavg } from "node:os";
import type { Results, Verdict } from "./aims.ts";
import { barChart } from "./chart.ts";
import type { Rate, Size } from "./operators.ts";
import { median } from "./statistics.ts";
import { subjectNames, subjectWhat } from "./subjects.ts";
import type { Throughput } from "./throughput.ts";

export function machine(): string {
  const processors = cpus();
  const load = loadavg()[0]?.toFixed(1);
  return `Node ${process.version}, ${processors.length} × ${processors[0]?.model.trim()}, load ${load} at the start`;
}

export function resultTable(results: Results, runs: number): string {
  const bare = results.bare;
  const rows = subjectNames.flatMap((name) => {
    const measured = results[name];
    if (!measured) return [];
    const cells = (["wallMs", "cpuMs", "peakMiB"] as const).flatMap((key) => {
      const { median, minimum } = measured[key];
      return [median.toFixed(1), minimum.toFixed(1), bare ? (median / bare[key].median).toFixed(2) : ""];
    });
    return [[name, subjectWhat(name), ...cells, measured.tpmMs?.toFixed(1) ?? ""]];
  });
  const each = ["median", "min", "× bare"];
  const head = [
    ["", "", "wall ms", "", "", "CPU ms", "", "", "peak MiB", "", "", "TPM's own"],
    ["", `${runs} interleaved runs`, ...each, ...each, ...each, "ms"],
  ];
  return `\n${table(2, [...head, ...rows])}
Each run registers anew (keep: keeps what is valid). The service answers at once (--retry-after 0), for all alike.
CPU and peak memory are those of the program, from wait4(2). The TPM's own time is that of the same commands to
the same TPM through the same library, timed alone.`;
}

export function throughputTable(throughput: readonly Throughput[], clients: number): string {
  const rows = throughput.map(
    ({ attestation, transport, perSecond, latencyMs, serviceCpuMs, clientCpuMs }) => [
      `local service, ${attestation} group over ${transport.toUpperCase()}`,
      median(perSecond).toFixed(0),
      Math.max(...perSecond).toFixed(0),
      latencyMs.toFixed(0),
      serviceCpuMs.toFixed(2),
      clientCpuMs.toFixed(2),
    ],
  );
  const head = [
    ["", "per second", "", "latency ms", "CPU ms each", ""],
    [`${clients} clients at a time`, "median", "best", "median", "service", "clients"],
  ];
  return `\n${table(1, [...head, ...rows])}
One TCP and TLS handshake for each registration, nothing resumed. Service and clients share the machine.`;
}

export function operatorTables(rates: readonly Rate[], sizes: readonly Size[]): string {
  const head = ["", "page of 100", "", "search", "memory"];
  const rows = sizes.map(({ enrollments, firstPageMs, middlePageMs, searchMs, memoryMiB }) => [
    `${enrollments.toLocaleString("en")} enrollments`,
    ...[firstPageMs, middlePageMs, searchMs].map((ms) => ms.toFixed(1)),
    memoryMiB.toFixed(0),
  ]);
  const each = ["16 calls at a time", "per second"];
  return `\n${table(1, [each, ...rates.map(({ what, perSecond }) => [what, perSecond.toFixed(0)])])}

${table(1, [head, ["", "first, ms", "middle, ms", "ms", "MiB"], ...rows])}
Every write is on disk before it is answered. Memory is what the service's process holds.`;
}

/** What the service bears, as one picture. */
export const serviceChart = (throughput: readonly Throughput[], rates: readonly Rate[]): string =>
  barChart({
    title: "What the local service bears, on two cores that it shares with its clients",
    unit: "per second",
    bars: [
      ...throughput.map(({ attestation, transport, perSecond }) => ({
        name: `registrations, ${attestation}, ${transport.toUpperCase()}`,
        value: median(perSecond),
      })),
      ...rates.map(({ what, perSecond }) => ({ name: what, value: perSecond })),
    ],
  });

export function verdictTable(verdicts: readonly Verdict[]): string {
  const rows = verdicts.map(({ what, aim, got, met }) => [what, aim, got, met ? "met" : "MISSED"]);
  return `\n${table(4, [["", "aim", "got", ""], ...rows])}`;
}

/** The first `words` columns to the left, numbers to the right. */
export function table(words: number, rows: readonly (readonly string[])[]): string {
  const widths = rows[0]?.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0))) ?? [];
  const aligned = (cell: string, column: number): string =>
    column < words ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0);
  return rows.map((row) => row.map(aligned).join("  ").trimEnd()).join("\n");
}
