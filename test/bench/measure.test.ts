import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Meter, openMeter } from "./measure.ts";

let directory: string;
let meter: Meter;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "mooring-meter-"));
  meter = openMeter(directory);
});
afterAll(async () => {
  await meter[Symbol.asyncDispose]();
  await rm(directory, { recursive: true });
});

const node = (script: string) => meter.run({ argv: [process.execPath, "-e", script] });

describe("the meter", () => {
  it("sees the memory that a program touches, and none of it in the next one", async () => {
    const small = await node("0");
    const large = await node("globalThis.kept = Buffer.alloc(100 << 20, 1)");
    const again = await node("0");
    expect(large.sample.peakMiB - small.sample.peakMiB).toBeGreaterThan(90);
    expect(again.sample.peakMiB - small.sample.peakMiB).toBeLessThan(20);
  });

  it("counts time asleep as wall and not as CPU", async () => {
    const { sample } = await node("Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1000)");
    expect(sample.wallMs).toBeGreaterThan(1000);
    expect(sample.cpuMs).toBeLessThan(sample.wallMs - 500);
  });

  it("counts the CPU of the children that a program waited for", async () => {
    const burn = "const end = process.cpuUsage().user + 300_000; while (process.cpuUsage().user < end);";
    const { sample } = await node(
      `require("child_process").execFileSync(process.execPath, ["-e", ${JSON.stringify(burn)}])`,
    );
    expect(sample.cpuMs).toBeGreaterThan(300);
  });

  it("hands on what a program prints", async () => {
    expect((await node("console.log('said')")).output).toBe("said\n");
  });

  it("rejects with what a failing program said", async () => {
    await expect(node("console.error('why'); process.exit(3)")).rejects.toThrow(/ended with 3: why/);
  });
});
