// What was promised, held against what was measured. Ratios are to a bare start of the same Node, medians to medians.

import type { Summary } from "./statistics.ts";
import type { SubjectName } from "./subjects.ts";

interface Measured extends Summary {
  /** Median of what the TPM and its software stack take for the verbs of one run. */
  readonly tpmMs?: number;
}

export type Results = Partial<Record<SubjectName, Measured>>;

export interface Verdict {
  readonly what: string;
  readonly aim: string;
  readonly got: string;
  readonly met: boolean;
}

export function verdicts(results: Results): Verdict[] {
  return [
    timesBare(results, "keep", 1.3),
    timesBare(results, "x509-https", 2.7),
    peak(results, "x509-https", 60),
    timesBare(results, "x509-mqtt", 4),
    peak(results, "x509-mqtt", 66),
    timesBare(results, "tpm-https", 3.5),
    ...beats(results, "x509-https", "sdk-https"),
    ...beats(results, "x509-mqtt", "sdk-mqtt"),
    ...beats(results, "tpm-https", "sdk-https"),
  ].filter((verdict) => verdict !== undefined);
}

/** The TPM's own time is not the program's, so it is taken off first. */
function timesBare({ bare, ...results }: Results, name: SubjectName, most: number): Verdict | undefined {
  const measured = (results as Results)[name];
  if (!bare || !measured) return undefined;
  const got = (measured.wallMs.median - (measured.tpmMs ?? 0)) / bare.wallMs.median;
  return {
    what: `${name}: wall${measured.tpmMs === undefined ? "" : ", without the TPM's own time"}`,
    aim: `≤ ${most.toFixed(1)} × bare`,
    got: `${got.toFixed(2)} ×`,
    met: got <= most,
  };
}

function peak(results: Results, name: SubjectName, most: number): Verdict | undefined {
  const got = results[name]?.peakMiB.median;
  if (got === undefined) return undefined;
  return {
    what: `${name}: peak memory`,
    aim: `≤ ${most} MiB`,
    got: `${got.toFixed(1)} MiB`,
    met: got <= most,
  };
}

function beats(results: Results, name: SubjectName, peer: SubjectName): Verdict[] {
  const [ours, theirs] = [results[name], results[peer]];
  if (!ours || !theirs) return [];
  return (["wallMs", "cpuMs", "peakMiB"] as const).map((key) => {
    const share = ours[key].median / theirs[key].median;
    const what = { wallMs: "wall", cpuMs: "CPU", peakMiB: "peak memory" }[key];
    return {
      what: `${name}: ${what}`,
      aim: `< ${peer}`,
      got: `${(100 * share).toFixed(0)} % of it`,
      met: share < 1,
    };
  });
}
