// Power cuts and impatience: a provisioning may end at any moment, and the gateway still has a whole assignment.

import { randomUUID } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createGateway, type Gateway, publicFields } from "../support/gateway.ts";
import { expectHubKeyInTpm } from "../support/hub-key.ts";
import { type LocalService, startService } from "../support/local-service.ts";
import { refuse, succeed } from "../support/mooring.ts";
import { issue, tpmIdentity, x509Identity } from "../support/pki.ts";
import { type Swtpm, startSwtpm } from "../support/swtpm.ts";

let service: LocalService;

beforeAll(async () => {
  service = await startService();
});
afterAll(() => service[Symbol.asyncDispose]());

async function x509Gateway(address = service): Promise<Gateway> {
  const name = `gw-${randomUUID()}`;
  const gateway = createGateway();
  const { certificate, certificateFile, keyFile } = issue(gateway.directory, name);
  gateway.configure(address, { identity: x509Identity(certificateFile, keyFile) });
  await address.enroll(`/enrollments/${name}`, {
    registrationId: name,
    attestation: { type: "x509", x509: { clientCertificates: { primary: { certificate } } } },
  });
  return gateway;
}

async function tpmGateway(swtpm: Swtpm): Promise<Gateway> {
  const gateway = createGateway(service, { identity: tpmIdentity(swtpm.tcti) });
  const { registrationId, endorsementKey } = await succeed(gateway.run("identity show"));
  await service.enroll(`/enrollments/${registrationId}`, {
    registrationId,
    attestation: { type: "tpm", tpm: { endorsementKey } },
  });
  return gateway;
}

/** How long an undisturbed command takes, ms. */
async function durationOf(gateway: Gateway, command: string): Promise<number> {
  const run = await gateway.run(command);
  expect(run.code, run.stderr).toBe(0);
  return run.elapsedMs;
}

/** After the kill: one whole assignment, on standard output and nowhere half. */
async function holdsWholeAssignment(gateway: Gateway): Promise<Record<string, unknown>> {
  const run = await gateway.run("status");
  const { yes, because, assignment } = run.json["usable"] as {
    yes: boolean;
    because?: string;
    assignment: Record<string, unknown>;
  };
  // Between its promotion and its publication; the next start finishes either. Meanwhile hub.env tells of the one before.
  if (!yes) expect(["its hub key is not in the TPM yet", "it is not published yet"]).toContain(because);
  const hubEnv = readFileSync(`${gateway.stateDirectory}/hub.env`, "utf8");
  expect(hubEnv).toContain(`IOTHUB_DEVICE_ID="${assignment["deviceId"]}"`);
  expect(hubEnv).toMatch(/\n$/);
  expect(run.code, run.stderr).toBe(yes ? 0 : 66);
  expect(publicFields.filter((name) => typeof assignment[name] !== "string")).toEqual([]);
  // Current, previous, staged; and what kills right after a promotion left, which the next one removes.
  expect(readdirSync(`${gateway.stateDirectory}/generations`).length).toBeLessThanOrEqual(5);
  return assignment;
}

async function killedAt25Moments(gateway: Gateway): Promise<{ killed: number }> {
  await succeed(gateway.run("provision"));
  let wholeMs = await durationOf(gateway, "reprovision");
  let killed = 0;
  for (let number = 0; number < 25; number++) {
    const { child, ended } = gateway.start("reprovision");
    await pause(wholeMs * (0.2 + 0.8 * Math.random()));
    child.kill("SIGKILL");
    const { signal, elapsedMs } = await ended;
    if (signal === "SIGKILL") killed++;
    else wholeMs = elapsedMs; // the machine has become quicker
    await holdsWholeAssignment(gateway);
  }
  const after = await gateway.run("provision");
  expect(after.code, after.stderr).toBe(0);
  await succeed(gateway.run("reprovision"));
  const names = readdirSync(`${gateway.stateDirectory}/generations`);
  expect(names).toHaveLength(2);
  return { killed };
}

describe("kill -9 in the middle of a reprovision", () => {
  it("leaves a gateway with a certificate its assignment, 25 times", async () => {
    using gateway = await x509Gateway();
    expect((await killedAt25Moments(gateway)).killed).toBeGreaterThan(5);
  });

  it("leaves a gateway with a TPM its assignment and its key, 25 times", async () => {
    await using swtpm = await startSwtpm();
    using gateway = await tpmGateway(swtpm);
    expect((await killedAt25Moments(gateway)).killed).toBeGreaterThan(5);
    await expectHubKeyInTpm(swtpm, service, String(gateway.assignment()["deviceId"]));
    const handles = (await swtpm.tool("tpm2_getcap", "handles-persistent")).match(/0x8[0-9A-F]+/g);
    expect(handles?.sort()).toEqual(["0x81000001", "0x81000100", "0x81010001"]);
  });
});

describe("SIGTERM", () => {
  it.each(["SIGTERM", "SIGINT"] as const)(
    "or %s while the service makes it wait ends it at once, with nothing changed",
    async (signal) => {
      await using slow = await startService("--retry-after", "60");
      using gateway = await x509Gateway(slow);
      const { child, ended } = gateway.start("provision");
      await expect
        .poll(() => slow.events.map(({ event }) => event), { timeout: 10_000 })
        .toContain("device.registered");
      const toldAt = performance.now();
      child.kill(signal);
      expect(await refuse(ended, "ERR_CANCELLED")).toMatchObject({ message: `stopped by ${signal}` });
      expect(performance.now() - toldAt).toBeLessThan(2000);
      expect(readdirSync(`${gateway.stateDirectory}/generations`)).toEqual([]);
      expect(await gateway.run("status")).toMatchObject({ code: 66 });
    },
  );

  it("at any moment ends a TPM's provisioning within two seconds, and leaves nothing loaded in the TPM", async () => {
    await using swtpm = await startSwtpm();
    using gateway = await tpmGateway(swtpm);
    const wholeMs = await durationOf(gateway, "provision");
    for (const part of [0.3, 0.5, 0.7, 0.9]) {
      const { child, ended } = gateway.start("reprovision");
      await pause(wholeMs * part);
      const toldAt = performance.now();
      child.kill("SIGTERM");
      const { code, signal, stderr } = await ended;
      expect(performance.now() - toldAt).toBeLessThan(2000);
      // Before the program listens the signal itself ends it; after the last step there is nothing left to stop.
      expect([0, 75, null], stderr).toContain(code);
      if (code === null) expect(signal).toBe("SIGTERM");
      expect(await swtpm.tool("tpm2_getcap", "handles-transient")).toBe("");
      expect(await swtpm.tool("tpm2_getcap", "handles-loaded-session")).toBe("");
      await holdsWholeAssignment(gateway);
    }
  });
});
