// `mooring run` as operators meet it: with the built program, real files and a real service.

import { randomUUID } from "node:crypto";
import { existsSync, readFileSync, renameSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { daemonTable, type RunningDaemon, startDaemon } from "../support/daemon.ts";
import { createGateway, type Gateway } from "../support/gateway.ts";
import { expectHubKeyInTpm } from "../support/hub-key.ts";
import { type LocalService, startService } from "../support/local-service.ts";
import { succeed } from "../support/mooring.ts";
import { type IssueOptions, issue, tpmIdentity, x509Identity } from "../support/pki.ts";
import { startSwtpm } from "../support/swtpm.ts";

let service: LocalService;

beforeAll(async () => {
  service = await startService("--hub", "hub.example");
});
afterAll(() => service[Symbol.asyncDispose]());

interface X509Gateway extends Gateway {
  readonly name: string;
  enroll(more?: object): Promise<void>;
  /** TOML of [reprovision] and of further lines of [daemon]. */
  policy(policy: { reprovision?: string; daemon?: string; idScope?: string }): void;
}

function x509Gateway(validity: Pick<IssueOptions, "days" | "madeAt"> = {}): X509Gateway {
  const name = `gw-${randomUUID()}`;
  const gateway = createGateway();
  const { certificate, certificateFile, keyFile, key } = issue(gateway.directory, name, validity);
  gateway.keepSecret(key);
  const policy: X509Gateway["policy"] = ({ reprovision = "", daemon = "", idScope = service.idScope }) =>
    gateway.configure(
      { ...service, idScope },
      {
        identity: x509Identity(certificateFile, keyFile),
        outputs: `[reprovision]\n${reprovision}\n${daemonTable(gateway, daemon)}`,
      },
    );
  policy({});
  const enroll = (more: object = {}): Promise<void> =>
    service.enroll(`/enrollments/${name}`, {
      registrationId: name,
      attestation: { type: "x509", x509: { clientCertificates: { primary: { certificate } } } },
      ...more,
    });
  return Object.assign(gateway, { name, enroll, policy });
}

const hubEnv = (gateway: Gateway): string => readFileSync(join(gateway.stateDirectory, "hub.env"), "utf8");

/** SIGTERM; it has to end well, and soon. */
async function stop({ child, ended }: RunningDaemon): Promise<void> {
  const toldAt = performance.now();
  child.kill("SIGTERM");
  const { code, stderr } = await ended;
  expect(code, stderr).toBe(0);
  expect(performance.now() - toldAt).toBeLessThan(2000);
}

describe("the first boot", () => {
  it("provisions by itself once somebody has enrolled it", async () => {
    using gateway = x509Gateway();
    await using daemon = startDaemon(gateway);
    expect(await daemon.logged("provisioning.failed")).toMatchObject({ code: "ERR_NOT_ENROLLED" });
    await daemon.shows({
      alive: { running: true, pid: daemon.child.pid, activity: "waiting" },
      usable: { yes: false },
      lastFailure: { code: "ERR_NOT_ENROLLED" },
      nextAttempt: { inMs: expect.any(Number) },
    });
    await gateway.enroll();
    expect(await daemon.ask({ do: "provision", wait: true })).toMatchObject({
      assignment: { assignedHub: "hub.example", deviceId: gateway.name },
    });
    expect(hubEnv(gateway)).toContain(gateway.name);
    await stop(daemon);
    expect(existsSync(gateway.file("control.sock"))).toBe(false);
  });

  it("does the same with a TPM, and whoever waited for it is told", async () => {
    await using swtpm = await startSwtpm();
    using gateway = createGateway();
    gateway.configure(service, { identity: tpmIdentity(swtpm.tcti), outputs: daemonTable(gateway) });
    const { registrationId, endorsementKey } = await succeed(gateway.run("identity show"));
    await service.enroll(`/enrollments/${registrationId}`, {
      registrationId,
      attestation: { type: "tpm", tpm: { endorsementKey } },
    });
    await using daemon = startDaemon(gateway);
    await daemon.answers();
    expect(await daemon.ask({ do: "wait" })).toMatchObject({ usable: { yes: true } });
    await expectHubKeyInTpm(swtpm, service, String(registrationId));
    expect(await daemon.ask({ do: "reprovision", wait: true })).toMatchObject({ trigger: "operator" });
    expect(await daemon.ask({ do: "rollback" })).toMatchObject({ assignment: { deviceId: registrationId } });
    expect(await swtpm.tool("tpm2_getcap", "handles-transient")).toBe("");
    await stop(daemon);
  });
});

describe("a later boot", () => {
  it("without a service publishes what there is, opens no network socket, and is there for those who ask", async () => {
    using gateway = x509Gateway();
    await gateway.enroll();
    await succeed(gateway.run("provision"));
    rmSync(join(gateway.stateDirectory, "hub.env"));
    const trace = gateway.file("trace");
    await using daemon = startDaemon(gateway, {
      under: ["strace", "-f", "--seccomp-bpf", "-e", "trace=socket,connect,execve", "-o", trace],
    });
    const { alive } = await daemon.answers();
    const { pid = 0 } = alive;
    onTestFinished(() => {
      if (existsSync(`/proc/${pid}`)) process.kill(pid, "SIGKILL");
    });
    await daemon.shows({ usable: { yes: true }, alive: { activity: "resting" } });
    expect(hubEnv(gateway)).toContain(gateway.name);
    process.kill(pid, "SIGTERM");
    await daemon.ended;
    const calls = readFileSync(trace, "utf8").split("\n");
    expect(calls.filter((line) => /AF_INET/.test(line))).toEqual([]);
    // Nor does it start a process for nothing. The first is the program itself.
    expect(calls.filter((line) => /execve\(.*= 0$/.test(line))).toHaveLength(1);
    expect(calls.filter((line) => /AF_UNIX/.test(line))).not.toEqual([]);
  });
});

describe("a change", () => {
  it("of the id scope is shown, waited with for the fleet's sake, and done at once when somebody asks", async () => {
    using gateway = x509Gateway();
    await gateway.enroll();
    await using daemon = startDaemon(gateway);
    await daemon.logged("assignment.promoted");
    await daemon.ask({ do: "wait" });
    gateway.policy({ idScope: "0ne00FFFFFF" });
    daemon.child.kill("SIGHUP");
    await daemon.logged("config.read-again");
    await daemon.shows({
      usable: { yes: true },
      decision: { act: "wait", trigger: "config-changed" },
      nextAttempt: { because: expect.stringContaining("spread") },
    });
    // The local service knows no such scope.
    await expect(daemon.ask({ do: "reprovision", wait: true })).rejects.toMatchObject({
      code: "ERR_NOT_ENROLLED",
    });
    expect(hubEnv(gateway)).toContain(gateway.name);
    gateway.policy({});
    daemon.child.kill("SIGHUP");
    await daemon.logged("config.read-again", 2);
    await daemon.shows({ decision: { act: "keep" } });
    await stop(daemon);
  });

  it("of the certificate is noticed and registered, and the old assignment served until then", async () => {
    using gateway = x509Gateway();
    await gateway.enroll();
    await using daemon = startDaemon(gateway);
    await daemon.logged("assignment.promoted");
    await daemon.ask({ do: "wait" });
    const renewed = issue(gateway.directory, "renewed", { subject: gateway.name });
    await service.enroll(`/enrollments/${gateway.name}`, {
      registrationId: gateway.name,
      attestation: {
        type: "x509",
        x509: { clientCertificates: { primary: { certificate: renewed.certificate } } },
      },
    });
    renameSync(renewed.keyFile, gateway.file(`${gateway.name}.key`));
    renameSync(renewed.certificateFile, gateway.file(`${gateway.name}.pem`));
    expect(await daemon.logged("provisioning.started", 2)).toMatchObject({ trigger: "identity-changed" });
    await daemon.logged("assignment.promoted", 2);
    await stop(daemon);
  });
});

describe("a certificate that ends soon", () => {
  it("is told of while the gateway rests with its assignment", async () => {
    using gateway = x509Gateway({ madeAt: "-99d", days: 100 });
    await gateway.enroll();
    await using daemon = startDaemon(gateway);
    expect(await daemon.logged("certificate.ends")).toMatchObject({
      ...{ level: "warn", daysLeft: 0, hint: expect.stringContaining("renewed certificate") },
    });
    expect(await succeed(gateway.run("status"))).toMatchObject({ usable: { certificateDaysLeft: 0 } });
    await stop(daemon);
  });
});

describe("a gateway whose enrollment was removed", () => {
  it("is told so, keeps its assignment, and gives it up only where the policy says so", async () => {
    using gateway = x509Gateway();
    await gateway.enroll();
    await using daemon = startDaemon(gateway);
    await daemon.logged("assignment.promoted");
    await daemon.ask({ do: "wait" });
    expect((await service.operator("enrollment", "delete", gateway.name, "--yes")).code).toBe(0);
    await expect(daemon.ask({ do: "reprovision", wait: true })).rejects.toMatchObject({
      code: "ERR_NOT_ENROLLED",
    });
    expect(hubEnv(gateway)).toContain(gateway.name);
    await daemon.shows({
      usable: { yes: true },
      decision: { act: "wait", trigger: "disenrolled" },
    });

    gateway.policy({ reprovision: 'on_disenrolled = "withdraw"' });
    daemon.child.kill("SIGHUP");
    await daemon.logged("config.read-again");
    await expect(daemon.ask({ do: "reprovision", wait: true })).rejects.toMatchObject({
      code: "ERR_NOT_ENROLLED",
    });
    await daemon.logged("assignment.withdrawn");
    await expect.poll(() => existsSync(join(gateway.stateDirectory, "hub.env"))).toBe(false);
    expect(gateway.assignment()).toMatchObject({ deviceId: gateway.name });

    await gateway.enroll();
    await daemon.ask({ do: "reprovision", wait: true });
    expect(hubEnv(gateway)).toContain(gateway.name);
    await stop(daemon);
  });
});

describe("the end", () => {
  it("comes within two seconds of SIGTERM, at any moment of an attempt", async () => {
    using gateway = x509Gateway();
    await gateway.enroll();
    await succeed(gateway.run("provision"));
    for (const afterMs of [0, 60, 120, 180, 240]) {
      await using daemon = startDaemon(gateway);
      await daemon.answers();
      const asked = daemon.ask({ do: "reprovision", wait: true }).catch(() => {});
      await pause(afterMs);
      await stop(daemon);
      await asked;
      expect((await gateway.run("status")).code).toBe(0);
    }
  });

  it("is as good while what there is is being published", async () => {
    using gateway = x509Gateway();
    await gateway.enroll();
    await succeed(gateway.run("provision"));
    const hanging = gateway.file("hanging");
    const command = `on_change = ["sh", "-c", "touch ${hanging}; sleep 60"]`;
    gateway.policy({ daemon: `[[outputs]]\npath = "${gateway.file("slow.env")}"\n${command}` });
    await using daemon = startDaemon(gateway);
    await expect.poll(() => existsSync(hanging), { timeout: 30_000 }).toBe(true);
    await stop(daemon);
  });

  it("does not come of a log that nobody reads any more", async () => {
    using gateway = x509Gateway();
    await gateway.enroll();
    await using daemon = startDaemon(gateway);
    const activity = async (): Promise<unknown> => (await daemon.answers()).alive.activity;
    await expect.poll(activity, { timeout: 30_000 }).toBe("resting");
    daemon.child.stderr?.destroy();
    expect(await daemon.ask({ do: "reprovision", wait: true })).toMatchObject({ trigger: "operator" });
    expect(await daemon.answers()).toMatchObject({ alive: { pid: daemon.child.pid } });
    await stop(daemon);
  });

  it("by kill -9, in a loop, costs the gateway nothing, and orphans do not go on", async () => {
    using gateway = x509Gateway();
    await gateway.enroll();
    await succeed(gateway.run("provision"));
    for (let number = 0; number < 12; number++) {
      const daemon = startDaemon(gateway);
      await daemon.answers();
      const asked = daemon.ask({ do: "reprovision", wait: true }).catch(() => {});
      await pause(250 * Math.random());
      daemon.child.kill("SIGKILL");
      await daemon.ended;
      await asked;
      expect((await gateway.run("status")).code).toBe(0);
    }
    await using last = startDaemon(gateway);
    await last.answers();
    // Whoever was left behind has let go of the state by now, or does so within a moment.
    await expect
      .poll(() => last.ask({ do: "reprovision", wait: true }).catch(({ code }) => code))
      .toMatchObject({ trigger: "operator" });
  });

  it("comes by itself when there is nothing to do and idle_exit says so; the next start is complete", async () => {
    using gateway = x509Gateway();
    gateway.policy({ daemon: 'idle_exit = "1s"' });
    await gateway.enroll();
    await using daemon = startDaemon(gateway);
    expect((await daemon.ended).code).toBe(0);
    expect(hubEnv(gateway)).toContain(gateway.name);
    const published = statSync(join(gateway.stateDirectory, "hub.env"));
    await using again = startDaemon(gateway);
    expect((await again.ended).code).toBe(0);
    expect(again.events.filter(({ event }) => event === "provisioning.started")).toEqual([]);
    expect(statSync(join(gateway.stateDirectory, "hub.env")).mtimeMs).toBe(published.mtimeMs);
  });
});

describe("two daemons", () => {
  it("do not share a gateway: the second says who is there", async () => {
    using gateway = x509Gateway();
    await gateway.enroll();
    await using daemon = startDaemon(gateway);
    await daemon.answers();
    await using second = startDaemon(gateway);
    const { code, stderr } = await second.ended;
    expect(code).not.toBe(0);
    expect(stderr).toContain("ERR_DAEMON_RUNNING");
    await daemon.answers();
  });
});
