// Medians say what usually happens, minima what the program itself costs on a machine with nothing else to do.

import type { Sample } from "./measure.ts";

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2;
}

export type Summary = Readonly<Record<keyof Sample, { readonly median: number; readonly minimum: number }>>;

export function summarize(samples: readonly Sample[]): Summary {
  const of = (key: keyof Sample): { median: number; minimum: number } => {
    const values = samples.map((sample) => sample[key]);
    return { median: median(values), minimum: Math.min(...values) };
  };
  return { wallMs: of("wallMs"), cpuMs: of("cpuMs"), peakMiB: of("peakMiB") };
}
