import { describe, expect, it } from "vitest";
import { verdicts } from "./aims.ts";
import { median, summarize } from "./statistics.ts";

const run = (wallMs: number, peakMiB = 50) => summarize([{ wallMs, cpuMs: wallMs, peakMiB }]);

describe("median", () => {
  it.each([
    [[3], 3],
    [[9, 1, 2], 2],
    [[4, 1, 10, 2], 3],
  ])("of %j is %d", (values, expected) => {
    expect(median(values)).toBe(expected);
  });
});

describe("the verdicts", () => {
  it("hold wall time against a bare start", () => {
    const found = verdicts({ bare: run(40), keep: run(52.4), "x509-mqtt": run(160) });
    expect(found.map(({ what, got, met }) => [what, got, met])).toEqual([
      ["keep: wall", "1.31 ×", false],
      ["x509-mqtt: wall", "4.00 ×", true],
      ["x509-mqtt: peak memory", "50.0 MiB", true],
    ]);
  });

  it("take the TPM's own time off first", () => {
    const [wall] = verdicts({ bare: run(40), "tpm-https": { ...run(200), tpmMs: 60 } });
    expect(wall).toMatchObject({ got: "3.50 ×", met: true });
  });

  it("ask every path to be faster and smaller than the SDK's", () => {
    const found = verdicts({ "x509-https": run(100, 60), "sdk-https": run(100, 70) });
    expect(found.map(({ aim, met }) => [aim, met])).toEqual([
      ["≤ 60 MiB", true],
      ["< sdk-https", false],
      ["< sdk-https", false],
      ["< sdk-https", true],
    ]);
  });

  it("say nothing about what was not measured", () => {
    expect(verdicts({ bare: run(40) })).toEqual([]);
  });
});
