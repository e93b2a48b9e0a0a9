import { renameSync, watch, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it, onTestFinished, vi } from "vitest";
import { watchIdentity } from "../../src/agent/identity-watch.ts";
import type { Config } from "../../src/config/schema.ts";
import { manualClock } from "../support/manual-clock.ts";
import { recordingLog } from "../support/recording-log.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

function watched(
  identity: object,
  provisioning = {},
): {
  clock: ReturnType<typeof manualClock>;
  log: ReturnType<typeof recordingLog>;
  changes: () => number;
} {
  const clock = manualClock();
  const log = recordingLog();
  let count = 0;
  const watching = watchIdentity({ identity, provisioning } as Config, () => count++, { clock, log });
  onTestFinished(() => watching[Symbol.dispose]());
  return { clock, log, changes: () => count };
}

const settling = (clock: ReturnType<typeof manualClock>): Promise<void> =>
  vi.waitFor(() => expect(clock.sleepers()).toEqual([2_000]));

it("tells of a certificate and a key that are replaced one after the other, once", async () => {
  const directory = temporaryDirectory();
  const certificate = join(directory, "cert.pem");
  const privateKey = join(directory, "key.pem");
  const { clock, changes } = watched({
    source: "x509",
    tpm: { tcti: "device:/dev/x" },
    x509: { certificate, privateKey },
  });
  for (const file of [certificate, privateKey]) {
    writeFileSync(`${file}.new`, "new");
    renameSync(`${file}.new`, file);
  }
  await settling(clock);
  clock.pass(2_000);
  await vi.waitFor(() => expect(changes()).toBe(1));
});

it("tells of a CA that is trusted from now on", async () => {
  const caFile = join(temporaryDirectory(), "ca.pem");
  const { clock, changes } = watched({ source: "tpm", tpm: { tcti: "x" } }, { caFile });
  writeFileSync(caFile, "new");
  await settling(clock);
  clock.pass(2_000);
  await vi.waitFor(() => expect(changes()).toBe(1));
});

it("tells of a TPM that appears, and not of its use", async () => {
  const directory = temporaryDirectory();
  const device = join(directory, "tpmrm0");
  const { clock, changes } = watched({ source: "tpm", tpm: { tcti: `device:${device}` } });
  writeFileSync(device, "");
  await settling(clock);
  clock.pass(2_000);
  await vi.waitFor(() => expect(changes()).toBe(1));

  const seen = Promise.withResolvers<void>();
  const own = watch(directory, (event) => event === "change" && seen.resolve());
  onTestFinished(() => own.close());
  writeFileSync(device, "a command");
  await seen.promise;
  expect(clock.sleepers()).toEqual([]);
});

it("does without a directory that is not there, and says so", () => {
  const { log } = watched({ source: "x509", tpm: { tcti: "x" }, x509: { certificate: "/nowhere/cert.pem" } });
  expect(log.named("debug")).toEqual(["identity.unwatched"]);
});
