// Gateways whose clock is wrong, in real processes: TLS, certificates and tokens all believe it. That is a state of its
// own, which ends by itself when the clock is set; it is no refusal of the device, and it costs no assignment.

import { randomBytes } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";

import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { daemonTable, startDaemon } from "../support/daemon.ts";
import { falseClock } from "../support/false-clock.ts";
import { createGateway, type Gateway, publicPart } from "../support/gateway.ts";
import { type LocalService, startService } from "../support/local-service.ts";
import { type Run, refuse, succeed, usableIn } from "../support/mooring.ts";
import { issue, x509Identity } from "../support/pki.ts";

let service: LocalService;
let gateway: Gateway;

beforeAll(async () => {
  service = await startService();
});
afterAll(() => service[Symbol.asyncDispose]());

beforeEach(() => {
  gateway = createGateway();
});
afterEach(() => gateway[Symbol.dispose]());

interface Use {
  readonly clockWait?: string;
  readonly transport?: string;
}

const use = (identity: string, { clockWait = "1s", transport = "https" }: Use = {}, at = service): void =>
  gateway.configure(at, {
    identity,
    provisioning: `transport = "${transport}"`,
    outputs: daemonTable(gateway, `clock_wait = "${clockWait}"`),
  });

async function withCertificate(options?: Use, madeAt = "+0d"): Promise<void> {
  const { certificate, certificateFile, keyFile } = issue(gateway.directory, "gw", { madeAt });
  const attestation = { type: "x509", x509: { clientCertificates: { primary: { certificate } } } };
  await service.enroll("/enrollments/gw", { registrationId: "gw", attestation });
  use(x509Identity(certificateFile, keyFile), options);
}

async function withKey(options?: Use, at = service): Promise<void> {
  const key = randomBytes(32).toString("base64");
  const attestation = { type: "symmetricKey", symmetricKey: { primaryKey: key, secondaryKey: key } };
  await at.enroll("/enrollments/gw-key", { registrationId: "gw-key", attestation });
  writeFileSync(gateway.file("key"), key, { mode: 0o600 });
  const table = `[identity.symmetric_key]\nkey_file = "${gateway.file("key")}"`;
  use(`[identity]\nsource = "symmetric-key"\nregistration_id = "gw-key"\n${table}`, options, at);
}

const floor = (): number =>
  JSON.parse(readFileSync(join(gateway.stateDirectory, "attempts.json"), "utf8")).timeFloor;

/** Runs it with a clock that is wrong from the start. */
const at = (offset: string, command = "provision"): Promise<Run> =>
  gateway.run(command, { env: falseClock(gateway, offset).env });

describe("a board that woke up half a century ago", () => {
  it.each([
    ["a certificate that is not valid yet", withCertificate, "is valid from 20"],
    ["a server whose certificate is not valid yet", withKey, "shows a certificate"],
  ])("blames its clock for %s, after it has waited", async (_what, identity, evidence) => {
    await identity();
    const run = at("-50y");
    const error = await refuse(run, "ERR_CLOCK_IMPLAUSIBLE");
    expect(error).toMatchObject({ exitCode: 75, retry: "after" });
    expect(error["message"]).toMatch(/^this machine's clock says 197\d-.*, and it is at least 20\d\d-/);
    expect(error["message"]).toContain(evidence);
    expect(error["hint"]).toContain("timedatectl");
    const { stderr } = await run;
    expect(stderr).toContain("waiting 1.0 s for it to be set");
    expect(stderr).toContain("trying all the same");
  });

  it("goes on when its clock is set, and not later", async () => {
    await withCertificate({ clockWait: "1h" });
    const clock = falseClock(gateway, "-50y");
    const running = gateway.start("provision", { env: clock.env });
    await new Promise<void>((resolve) => {
      let said = "";
      running.child.stderr?.on("data", (text: string) => {
        said += text;
        if (said.includes("waiting 3600.0 s")) resolve();
      });
    });
    clock.set("+0");
    const run = await running.ended;
    expect(run.code, run.stderr).toBe(0);
    expect(run.json).toMatchObject({ outcome: "assigned" });
  });

  it("serves what it has and keeps it, and does not keep a person waiting who asks for more", async () => {
    await withCertificate({ clockWait: "1h" });
    const first = await succeed(gateway.run("provision"));
    expect(await succeed(at("-50y"))).toMatchObject({ outcome: "kept" });
    const run = at("-50y", "reprovision");
    await refuse(run, "ERR_CLOCK_IMPLAUSIBLE");
    expect((await run).stderr).not.toContain("waiting");
    expect(publicPart(await usableIn(gateway.run("status")))).toEqual(publicPart(first));
  });
});

describe("the daemon", () => {
  const run = async (offset: string, clockWait: string) => {
    await withCertificate({ clockWait });
    const clock = falseClock(gateway, offset);
    return { clock, daemon: startDaemon(gateway, { env: clock.env }) };
  };

  it("waits for a clock of half a century ago, asks nobody meanwhile, and goes on when it is set", async () => {
    const { clock, daemon: running } = await run("-50y", "1h");
    await using daemon = running;
    expect((await daemon.logged("clock.implausible"))["because"]).toMatch(/^this machine's clock says 197/);
    await daemon.shows({
      alive: { activity: "waiting" },
      clock: "implausible",
      decision: { because: expect.stringContaining("clock") },
    });
    clock.set("+0");
    await daemon.logged("assignment.promoted");
    await daemon.ask({ do: "wait" });
    expect(daemon.events.filter(({ event }) => event === "provisioning.started")).toHaveLength(1);
    const { alive, ...status } = await daemon.answers();
    expect(status).toMatchObject({ usable: { yes: true }, clock: "plausible" });
    expect(Date.now() - Date.parse(String(alive.since))).toBeLessThan(120_000);
  });

  it("tries all the same when nobody sets it, and says whose fault it is", async () => {
    const { clock, daemon: running } = await run("-50y", "1s");
    await using daemon = running;
    expect(await daemon.logged("provisioning.failed")).toMatchObject({ code: "ERR_CLOCK_IMPLAUSIBLE" });
    // Once it waits for the clock again: right before, it would see the right time, and take its usual pause.
    await daemon.logged("clock.implausible", 2);
    clock.set("+0");
    await daemon.logged("assignment.promoted");
    await daemon.ask({ do: "wait" });
  });
});

describe("a clock that is years ahead", () => {
  it("is shown beside the dates of the certificates that it finds expired", async () => {
    await withCertificate();
    const expired = await refuse(at("+5y"), "ERR_CERTIFICATE_EXPIRED");
    expect(expired["message"]).toMatch(/was valid until 20.*; this machine's clock says 20/);
    await withKey();
    const server = await refuse(at("+30y"), "ERR_TLS_SERVER");
    expect(server["message"]).toMatch(/valid from 20\S+ to 20/);
    expect(server["hint"]).toMatch(/date -u.*timedatectl/);
  });
});

describe("a clock that is two hours slow", () => {
  it("does not matter where the service says what time it is: tokens are dated by that", async () => {
    await withKey();
    const startedAt = Date.now();
    const { code, json, stderr } = await at("-2h");
    expect(code, stderr).toBe(0);
    expect(Date.parse(String(json["assignedAt"]))).toBeGreaterThan(startedAt - 60_000);
  });

  it("is among the causes where the service does not say it", async () => {
    await withKey({ transport: "mqtt" });
    const error = await refuse(at("-2h"), "ERR_UNAUTHORIZED");
    expect(error["hint"]).toContain("check the clock");
  });

  it("does not matter to certificates", async () => {
    await withCertificate({}, "-1d");
    expect(await succeed(at("-2h"))).toMatchObject({ outcome: "assigned" });
  });
});

describe("what the service says of the time", () => {
  it.each(["https", "mqtt"])("is kept as the least it can be, over %s", async (transport) => {
    await withCertificate({ transport });
    const startedAt = Date.now() - 1000;
    await succeed(gateway.run("provision"));
    expect(floor()).toBeGreaterThanOrEqual(startedAt);
    expect(floor()).toBeLessThanOrEqual(Date.now());
  });

  it("mends a floor that was years too high", async () => {
    await withCertificate();
    await succeed(gateway.run("provision"));
    const file = join(gateway.stateDirectory, "attempts.json");
    const attempts = JSON.parse(readFileSync(file, "utf8"));
    writeFileSync(file, JSON.stringify({ ...attempts, timeFloor: Date.UTC(2090, 0) }));
    expect((await gateway.run("reprovision")).code).toBe(0);
    expect(floor()).toBeLessThanOrEqual(Date.now());
  });
});

describe("a clock that is set in the middle", () => {
  it.each(["-50y", "+5y"])("of a registration (%s) changes no delay and loses nothing", async (offset) => {
    await using slow = await startService("--retry-after", "1");
    await withKey({}, slow);
    const first = await succeed(gateway.run("provision"));
    const clock = falseClock(gateway, "+0");
    const running = gateway.start("reprovision", { env: { ...clock.env, MOORING_LOG: "json" } });
    const told: string[] = [];
    running.child.stderr?.on("data", (text: string) => {
      told.push(text);
      if (text.includes("provisioning.started")) clock.set(offset);
    });
    const { code, elapsedMs, stderr } = await running.ended;
    expect(told.join("")).toContain("provisioning.started");
    expect([0, 75], stderr).toContain(code);
    if (code === 75) expect(stderr).toContain("ERR_CLOCK_IMPLAUSIBLE");
    expect(elapsedMs).toBeLessThan(30_000);
    const now = await usableIn(gateway.run("status"));
    expect(now["assignedHub"]).toBe(first["assignedHub"]);
    expect((await gateway.run("reprovision")).code).toBe(0);
  });
});
