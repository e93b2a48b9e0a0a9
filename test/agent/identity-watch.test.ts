import { execFileSync } from "node:child_process";
import {
  chmodSync,
  mkdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  utimesSync,
  watch,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { watchIdentity } from "../../src/agent/identity-watch.ts";
import type { Config } from "../../src/config/schema.ts";
import { eventually } from "../support/eventually.ts";
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
  check: () => void;
} {
  const clock = manualClock();
  const log = recordingLog();
  let count = 0;
  const watching = watchIdentity({ identity, provisioning } as Config, () => count++, { clock, log });
  onTestFinished(() => watching[Symbol.dispose]());
  return { clock, log, changes: () => count, check: watching.check };
}

const settling = (clock: ReturnType<typeof manualClock>): Promise<void> =>
  eventually(() => expect(clock.sleepers()).toEqual([2_000]));

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
  await eventually(() => expect(changes()).toBe(1));
});

it("tells of a CA that is trusted from now on", async () => {
  const caFile = join(temporaryDirectory(), "ca.pem");
  const { clock, changes } = watched({ source: "tpm", tpm: { tcti: "x" } }, { caFile });
  writeFileSync(caFile, "new");
  await settling(clock);
  clock.pass(2_000);
  await eventually(() => expect(changes()).toBe(1));
});

it("tells of a TPM that appears, and not of its use", async () => {
  const directory = temporaryDirectory();
  const device = join(directory, "tpmrm0");
  const { clock, changes } = watched({ source: "tpm", tpm: { tcti: `device:${device}` } });
  writeFileSync(device, "");
  await settling(clock);
  clock.pass(2_000);
  await eventually(() => expect(changes()).toBe(1));

  const seen = Promise.withResolvers<void>();
  const own = watch(directory, (event) => event === "change" && seen.resolve());
  onTestFinished(() => own.close());
  writeFileSync(device, "a command");
  await seen.promise;
  expect(clock.sleepers()).toEqual([]);
});

describe("a directory of the identity", () => {
  /** A certificate in a directory, which lies in one that nobody else writes to. */
  function places(): { root: string; directory: string; identity: object } {
    const root = temporaryDirectory();
    const directory = join(root, "identity");
    const x509 = { certificate: join(directory, "cert.pem") };
    return { root, directory, identity: { source: "x509", tpm: { tcti: "x" }, x509 } };
  }

  function withCertificate(directory: string, content = "new"): void {
    mkdirSync(directory, { recursive: true });
    writeFileSync(join(directory, "cert.pem"), content);
  }

  async function tells({ clock, changes }: ReturnType<typeof watched>, times: number): Promise<void> {
    await settling(clock);
    clock.pass(2_000);
    await eventually(() => expect(changes()).toBe(times));
  }

  it("may be replaced, and what is replaced in the new one is told too", async () => {
    const { root, directory, identity } = places();
    withCertificate(directory, "old");
    const watching = watched(identity);
    withCertificate(join(root, "next"));
    renameSync(directory, join(root, "before"));
    renameSync(join(root, "next"), directory);
    await tells(watching, 1);
    withCertificate(directory, "newest");
    await tells(watching, 2);
  });

  it("may be a link that leads to another from now on", async () => {
    const { root, directory, identity } = places();
    withCertificate(join(root, "a"), "old");
    withCertificate(join(root, "b"), "new");
    symlinkSync("a", directory);
    const watching = watched(identity);
    symlinkSync("b", `${directory}.new`);
    renameSync(`${directory}.new`, directory);
    await tells(watching, 1);
    withCertificate(join(root, "b"), "newest");
    await tells(watching, 2);
  });

  it("may be removed and made again", async () => {
    const { directory, identity } = places();
    withCertificate(directory, "old");
    const watching = watched(identity);
    rmSync(directory, { recursive: true });
    await tells(watching, 1);
    withCertificate(directory);
    await tells(watching, 2);
    withCertificate(directory, "newest");
    await tells(watching, 3);
  });

  it("may be made later, with those that it lies in", async () => {
    const root = temporaryDirectory();
    const directory = join(root, "a/b/c");
    const x509 = { certificate: join(directory, "cert.pem") };
    const watching = watched({ source: "x509", tpm: { tcti: "x" }, x509 });
    withCertificate(directory);
    await tells(watching, 1);
  });

  it("may hold links whose target is replaced", async () => {
    const { root, directory, identity } = places();
    withCertificate(join(root, "store/a"), "old");
    mkdirSync(directory);
    symlinkSync("../store/a/cert.pem", join(directory, "cert.pem"));
    const watching = watched(identity);
    withCertificate(join(root, "store/a"));
    await tells(watching, 1);
  });

  it("may hold links to links, any of which may lead elsewhere from now on", async () => {
    const { root, directory, identity } = places();
    for (const name of ["a", "b"]) withCertificate(join(root, "archive", name), name);
    mkdirSync(directory);
    mkdirSync(join(root, "live"));
    symlinkSync("../archive/a/cert.pem", join(root, "live/cert.pem"));
    symlinkSync("../live/cert.pem", join(directory, "cert.pem"));
    const watching = watched(identity);
    symlinkSync("../archive/b/cert.pem", join(root, "live/cert.new"));
    renameSync(join(root, "live/cert.new"), join(root, "live/cert.pem"));
    await tells(watching, 1);
  });

  it("may change unseen, which a look finds", async () => {
    const { directory, identity } = places();
    withCertificate(directory, "old");
    const watching = watched(identity);
    watching.check();
    expect(watching.clock.sleepers()).toEqual([]);
    utimesSync(join(directory, "cert.pem"), 1, 1);
    watching.check(); // before the watch has told of it
    expect(watching.clock.sleepers()).toEqual([2_000]);
  });

  it("is not told of for what else changes in it or beside it", async () => {
    const { root, directory, identity } = places();
    withCertificate(directory, "old");
    const { clock } = watched(identity);
    const seen = Promise.withResolvers<void>();
    const own = watch(root, () => seen.resolve());
    onTestFinished(() => own.close());
    writeFileSync(join(directory, "notes"), "");
    writeFileSync(join(root, "notes"), "");
    await seen.promise;
    expect(clock.sleepers()).toEqual([]);
  });
});

it.runIf(process.geteuid?.() === 0)("does without a directory that it may not read, and says so", () => {
  const directory = temporaryDirectory();
  mkdirSync(join(directory, "identity"), { mode: 0o711 });
  const program = `import { watchPlaces } from "${import.meta.resolve("../../src/agent/place-watch.ts")}";
    const log = { debug: (event, { path }) => console.log(event, path) };
    watchPlaces(["${join(directory, "identity", "cert.pem")}"], () => {}, { log });`;
  chmodSync(directory, 0o755);
  const nobody = ["--reuid=65534", "--regid=65534", "--clear-groups"];
  const command = [...nobody, process.execPath, "--input-type=module", "--eval", program];
  const said = execFileSync("setpriv", command, { encoding: "utf8" });
  expect(said).toBe(`directory.unwatched ${join(directory, "identity")}\n`);
});
