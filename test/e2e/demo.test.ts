// `mooring demo` is the first thing that people see: it has to work, to end by itself, and to leave nothing.

import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeEach, describe, expect, it, onTestFinished } from "vitest";
import { leftoversIn } from "../support/leftovers.ts";
import { mooring, startMooring } from "../support/mooring.ts";

let directory: string;
let env: Record<string, string>;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "mooring-demo-test-"));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  env = { TMPDIR: directory };
});

describe("mooring demo", () => {
  it("provisions two gateways before one's eyes, and leaves nothing", async () => {
    const run = await mooring(["demo"], { env });
    expect(run, run.stderr).toMatchObject({ code: 0, stderr: "" });
    expect(run.elapsedMs).toBeLessThan(60_000);
    for (const said of [
      'DPS_ATTESTATION="tpm"',
      'IOTHUB_DEVICE_ID="gateway-one"',
      'DPS_ATTESTATION="x509"',
      'IOTHUB_DEVICE_ID="gateway-two"',
      "Done.",
    ]) {
      expect(run.stdout).toContain(said);
    }
    expect(leftoversIn(directory)).toEqual([]);
  });

  it.each(["SIGINT", "SIGTERM"] as const)(
    "ends with %s in the middle, and leaves nothing",
    async (signal) => {
      const { child, ended } = startMooring(["demo"], { env });
      await new Promise<void>((resolve) => {
        let said = "";
        child.stdout?.on("data", (text: string) => {
          said += text;
          if (said.includes("enroll that TPM")) resolve();
        });
      });
      child.kill(signal);
      expect(await ended).toMatchObject({ code: 75, stderr: expect.stringContaining("ERR_CANCELLED") });
      expect(leftoversIn(directory)).toEqual([]);
    },
  );

  it("keeps its files when it is asked to", async () => {
    const { code, stdout } = await mooring(["demo", "--keep"], { env });
    expect(code).toBe(0);
    const [kept = ""] = readdirSync(directory);
    expect(stdout).toContain(join(directory, kept));
    expect(readdirSync(join(directory, kept))).toEqual(expect.arrayContaining(["gateway-1", "gateway-2"]));
  });
});
