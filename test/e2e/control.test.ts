// The commands and the daemon: each finds the other, or does well without.

import { execFileSync } from "node:child_process";
import { chmodSync, existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { daemonTable, startDaemon } from "../support/daemon.ts";
import { datagramsAt } from "../support/datagrams.ts";
import { createGateway, type Gateway, publicPart } from "../support/gateway.ts";
import { type LocalService, startService } from "../support/local-service.ts";
import { mooring, refuse, succeed, usableIn } from "../support/mooring.ts";
import { issue, tpmIdentity, x509Identity } from "../support/pki.ts";
import { startSwtpm } from "../support/swtpm.ts";

let service: LocalService;
/** It lets devices wait, so that an attempt takes its time. */
let slow: LocalService;

beforeAll(async () => {
  [service, slow] = await Promise.all([
    startService("--hub", "hub.example"),
    startService("--hub", "hub.example", "--retry-after", "3"),
  ]);
});
afterAll(() => Promise.all([service[Symbol.asyncDispose](), slow[Symbol.asyncDispose]()]));

interface Options {
  readonly at?: LocalService;
  readonly daemon?: string;
  readonly isEnrolled?: boolean;
}

async function aGateway({ at = service, daemon = "", isEnrolled = true }: Options = {}): Promise<Gateway> {
  const gateway = createGateway();
  onTestFinished(() => gateway[Symbol.dispose]());
  const name = "gw-control";
  // Tests share the services, and the name.
  await at.operator("enrollment", "delete", name, "--yes");
  const { certificate, certificateFile, keyFile, key } = issue(gateway.directory, name);
  gateway.keepSecret(key);
  const outputs = daemonTable(gateway, daemon);
  gateway.configure(at, { identity: x509Identity(certificateFile, keyFile), outputs });
  const x509 = { clientCertificates: { primary: { certificate } } };
  const record = { registrationId: name, attestation: { type: "x509", x509 } };
  if (isEnrolled) await at.enroll(`/enrollments/${name}`, record);
  return gateway;
}

/** Under load it may take a while. */
const soon = <Value>(probe: () => Value) => expect.poll(probe, { timeout: 20_000 });

/** Connections to the control socket, as the kernel counts them. */
const clientsOf = (gateway: Gateway): number =>
  readFileSync("/proc/net/unix", "utf8").split(gateway.file("control.sock")).length - 2;

const linesOf = (gateway: Gateway, ...command: string[]) =>
  mooring([...command, "--config", gateway.configFile, "--verbose"]);

describe("with a daemon, a command", () => {
  it("asks it, and answers as if it had done the work itself", async () => {
    const gateway = await aGateway();
    const direct = await succeed(gateway.run("provision"));
    await using daemon = startDaemon(gateway);
    await daemon.shows({ alive: { activity: "resting" } });
    const { alive } = await daemon.answers();

    expect(await succeed(gateway.run("provision"))).toMatchObject({ outcome: "kept", ...publicPart(direct) });
    const again = await succeed(gateway.run("reprovision", { args: ["--wait"] }));
    expect(again).toMatchObject({ outcome: "assigned", trigger: "operator", deviceId: direct["deviceId"] });
    expect(Object.keys(again).sort()).toEqual(Object.keys(direct).sort());
    expect(await succeed(gateway.run("rollback"))).toMatchObject({
      outcome: "rolled-back",
      ...publicPart(direct),
    });
    await expect
      .poll(() => succeed(gateway.run("status")))
      .toMatchObject({
        alive: { ...alive, since: expect.any(String) },
        usable: { yes: true, generation: 1, assignment: publicPart(direct) },
        decision: { act: "keep" },
      });
    const asked = daemon.events.filter(({ event }) => event === "control.asked");
    expect(asked).toMatchObject(
      ["provision", "reprovision", "rollback"].map((request) => ({ request, uid: process.getuid?.() })),
    );
  });

  it("shows the daemon's progress, and its failure as its own", async () => {
    const gateway = await aGateway();
    await using daemon = startDaemon(gateway);
    await daemon.logged("assignment.promoted");
    await daemon.ask({ do: "wait" });
    const shown = await linesOf(gateway, "reprovision", "--wait");
    expect(shown).toMatchObject({ code: 0, stdout: expect.stringMatching(/^Assigned\./) });
    expect(shown.stderr).toMatch(
      /provisioning, because an operator asked for it[\s\S]*assigned: gw-control at/,
    );

    expect((await service.operator("enrollment", "delete", "gw-control", "--yes")).code).toBe(0);
    const error = await refuse(gateway.run("reprovision", { args: ["--wait"] }), "ERR_NOT_ENROLLED");
    expect(error).toMatchObject({ serviceErrorCode: 404201, trackingId: expect.any(String) });
    // Who asks for nothing but to have what there is gets it.
    expect(await succeed(gateway.run("provision"))).toMatchObject({
      outcome: "kept",
      deviceId: "gw-control",
    });
  });

  it("need not wait, and says how to follow", async () => {
    const gateway = await aGateway();
    await using daemon = startDaemon(gateway);
    await daemon.logged("assignment.promoted");
    await daemon.ask({ do: "wait" });
    const { code, stdout } = await linesOf(gateway, "reprovision");
    expect({ code, stdout }).toEqual({ code: 0, stdout: expect.stringContaining("`mooring status`") });
    expect(await succeed(gateway.run("reprovision"))).toEqual({ accepted: true });
    await daemon.logged("assignment.promoted", 2);
  });

  it("says so when the daemon dies under it, and nothing is lost", async () => {
    const gateway = await aGateway({ at: slow });
    const first = await succeed(gateway.run("provision"));
    const daemon = startDaemon(gateway);
    await daemon.answers();
    const { ended } = gateway.start("reprovision --wait");
    await daemon.logged("registration.assigning");
    daemon.child.kill("SIGKILL");
    expect(await refuse(ended, "ERR_DAEMON_LOST")).toMatchObject({
      message: expect.stringContaining(`process ${daemon.child.pid}`),
    });
    await daemon.ended;
    expect(await usableIn(gateway.run("status"))).toMatchObject(publicPart(first));
  });

  it("that is stopped leaves the daemon at its work", async () => {
    const gateway = await aGateway({ isEnrolled: false });
    await using daemon = startDaemon(gateway);
    await daemon.logged("provisioning.failed");
    await soon(() => clientsOf(gateway)).toBe(0);
    const { child, ended } = gateway.start("wait");
    await soon(() => clientsOf(gateway)).toBe(1);
    child.kill("SIGINT");
    expect(await refuse(ended, "ERR_CANCELLED")).toMatchObject({
      message: "stopped waiting for the daemon, which goes on",
    });
    await daemon.shows({ alive: { activity: "waiting" }, nextAttempt: {} });
  });

  it("does not mistake another gateway's daemon for its own", async () => {
    const [mine, others] = [await aGateway(), await aGateway({ at: slow })];
    await using daemon = startDaemon(others);
    await daemon.answers();
    const config = readFileSync(mine.configFile, "utf8").replace(
      mine.file("control.sock"),
      others.file("control.sock"),
    );
    mine.configure(service, { identity: "", outputs: "" });
    execFileSync("tee", [mine.configFile], { input: config });
    expect(
      await succeed(mine.run("status").then((run) => ({ ...run, code: 0, json: run.json }))),
    ).toMatchObject({
      alive: { running: false },
    });
    expect(await succeed(mine.run("provision"))).toMatchObject({ trigger: "first-boot" });
  });
});

/** With another certificate than it had. */
async function enrollIn(gateway: Gateway): Promise<void> {
  const { certificate } = issue(gateway.directory, "gw-control");
  const x509 = { clientCertificates: { primary: { certificate } } };
  await service.enroll("/enrollments/gw-control", {
    ...{ registrationId: "gw-control", attestation: { type: "x509", x509 } },
  });
}

describe("another user", () => {
  const as = (...groups: string[]): string[] => [
    ...["setpriv", "--reuid=65534", "--regid=65534"],
    ...(groups.length > 0 ? [`--groups=${groups}`] : ["--clear-groups"]),
  ];
  const isRoot = process.getuid?.() === 0;

  it.runIf(isRoot)(
    "may ask for status and wait as a member of the control group, and for nothing else",
    async () => {
      const gateway = await aGateway({ daemon: 'control_group = "12345"' });
      chmodSync(gateway.directory, 0o755);
      await using daemon = startDaemon(gateway);
      await daemon.logged("assignment.promoted");
      await daemon.ask({ do: "wait" });
      const under = as("12345");
      expect(await usableIn(gateway.run("status", { under }))).toMatchObject({ deviceId: "gw-control" });
      expect(await usableIn(gateway.run("wait", { under }))).toMatchObject({ deviceId: "gw-control" });
      for (const command of ["provision", "reprovision", "rollback"]) {
        const error = await refuse(gateway.run(command, { under }), "ERR_CONTROL_PERMISSION");
        expect(error["message"]).toContain("user 65534");
      }
      expect(daemon.events.filter(({ event }) => event === "control.asked")).toEqual([]);
    },
  );

  it.runIf(isRoot)("waits on when the daemon goes, although it may not read the state itself", async () => {
    const gateway = await aGateway({ isEnrolled: false, daemon: 'control_group = "12345"' });
    chmodSync(gateway.directory, 0o755);
    const first = startDaemon(gateway);
    await first.logged("provisioning.failed");
    await soon(() => clientsOf(gateway)).toBe(0);
    const { ended, child } = gateway.start("wait --verbose", { under: as("12345") });
    let said = "";
    child.stderr?.on("data", (text: string) => {
      said += text;
    });
    await soon(() => clientsOf(gateway)).toBe(1);
    await first.answers();
    first.child.kill("SIGTERM");
    await first.ended;
    await soon(() => said).toContain("wait.daemon-gone");
    await enrollIn(gateway);
    await using second = startDaemon(gateway);
    await second.answers();
    await second.ask({ do: "provision", wait: true });
    const run = await ended;
    expect(run.code, run.stderr).toBe(0);
    expect(run.json).toMatchObject({ usable: { yes: true } });
  });

  it.runIf(isRoot)("gets no further than the socket otherwise", async () => {
    const gateway = await aGateway();
    chmodSync(gateway.directory, 0o755);
    await using daemon = startDaemon(gateway);
    await daemon.logged("assignment.promoted");
    await daemon.ask({ do: "wait" });
    const error = await refuse(gateway.run("status", { under: as() }), "ERR_CONTROL_PERMISSION");
    expect(error["message"]).toContain(gateway.file("control.sock"));
  });
});

describe("wait", () => {
  it("ends when somebody provisions, with no daemon far and wide", async () => {
    const gateway = await aGateway();
    const { ended } = gateway.start("wait");
    const assignment = await succeed(gateway.run("provision"));
    expect(await usableIn(ended)).toMatchObject({ generation: 1, ...publicPart(assignment) });
    const { code, stdout } = await mooring(["wait", "--config", gateway.configFile]);
    expect({ code, stdout }).toEqual({ code: 0, stdout: "Ready: gw-control at hub.example\n" });
  });

  it("is not over while no output can be read, as after a boot that emptied their directory", async () => {
    const gateway = await aGateway();
    await succeed(gateway.run("provision"));
    rmSync(gateway.file("state/hub.env"));
    await refuse(gateway.run("wait", { args: ["--timeout", "1s"] }), "ERR_DEADLINE");
    const { code, json } = await gateway.run("status");
    expect({ code, ...json }).toMatchObject({
      ...{ code: 66, usable: { yes: false, because: "it is not published yet", generation: 1 } },
    });
    await succeed(gateway.run("provision"));
    expect(await usableIn(gateway.run("wait"))).toMatchObject({ generation: 1 });
  });

  it("outlives the daemon that it asked, and finds the next one", async () => {
    const gateway = await aGateway({ isEnrolled: false });
    const first = startDaemon(gateway);
    await first.logged("provisioning.failed");
    await soon(() => clientsOf(gateway)).toBe(0);
    const { ended, child } = gateway.start("wait --verbose");
    let said = "";
    child.stderr?.on("data", (text: string) => {
      said += text;
    });
    await soon(() => clientsOf(gateway)).toBe(1);
    // It answers in turn: whoever came before was greeted by now.
    await first.answers();
    first.child.kill("SIGKILL");
    await soon(() => said).toContain("wait.daemon-gone");
    await using second = startDaemon(gateway);
    await second.answers();
    await enrollIn(gateway);
    await second.ask({ do: "provision", wait: true });
    const run = await ended;
    expect(run.code, run.stderr).toBe(0);
    expect(run.json).toMatchObject({
      alive: { running: true, pid: second.child.pid },
      usable: { yes: true },
    });
    await first.ended;
  });

  it("for ever, waits for a configuration to be mended, too", async () => {
    const gateway = await aGateway();
    await succeed(gateway.run("provision"));
    const good = readFileSync(gateway.configFile);
    writeFileSync(gateway.configFile, "mistake = true");
    await refuse(gateway.run("wait"), "ERR_CONFIG_INVALID");
    const { ended, child } = gateway.start("wait --timeout infinity");
    let said = "";
    child.stderr?.on("data", (text: string) => {
      said += text;
    });
    await soon(() => said).toContain("ERR_CONFIG_INVALID");
    writeFileSync(gateway.configFile, good);
    expect(await usableIn(ended.then((run) => ({ ...run, json: run.json, stderr: "" })))).toMatchObject({
      yes: true,
    });
    expect(said.match(/config\.refused/g)).toHaveLength(1);
  });

  it("gives up when its time is over, with 75", async () => {
    const gateway = await aGateway();
    const error = await refuse(gateway.run("wait", { args: ["--timeout", "1s"] }), "ERR_DEADLINE");
    expect(error).toMatchObject({ exitCode: 75, message: "there was no identity to use within 1s" });
    await refuse(gateway.run("wait", { args: ["--timeout", "soon"] }), "ERR_USAGE");
    expect(existsSync(gateway.stateDirectory)).toBe(false);
  });
});

describe("reprovision --dry-run", () => {
  const tree = (gateway: Gateway): string =>
    execFileSync(
      "find",
      [gateway.directory, "-mindepth", "1", "-not", "-name", "trace*", "-printf", "%p %T@ %s %i\n"],
      {
        encoding: "utf8",
      },
    );

  it("says what would be sent, replaced and kept, and does nothing of it", async () => {
    const gateway = await aGateway();
    await succeed(gateway.run("provision"));
    await succeed(gateway.run("reprovision"));
    const before = tree(gateway);
    const under = ["strace", "-f", "-e", "trace=socket,connect", "-o", gateway.file("trace")];
    const plan = await succeed(gateway.run("reprovision", { args: ["--dry-run"], under }));
    const place = { assignedHub: "hub.example", deviceId: "gw-control" };
    expect(plan).toEqual({
      decision: { act: "keep" },
      sends: {
        ...{
          endpoint: "localhost",
          idScope: service.idScope,
          registrationId: "gw-control",
          attestation: "x509",
        },
        transports: [
          { transport: "mqtt", port: service.mqttPort },
          { transport: "mqtt-ws", port: service.httpsPort },
          { transport: "https", port: service.httpsPort },
        ],
        because: expect.stringContaining("MQTT first"),
        payloadBytes: 0,
      },
      replaces: { generation: 2, ...place },
      removes: [{ generation: 1, ...place }],
      outputs: [`${gateway.stateDirectory}/hub.env`],
    });
    expect(tree(gateway)).toBe(before);
    expect(readFileSync(gateway.file("trace"), "utf8")).not.toMatch(/socket\(/);
    const { stdout } = await linesOf(gateway, "reprovision", "--dry-run");
    expect(stdout).toMatch(/^replaces +generation 2, gw-control at hub\.example$/m);
    expect(stdout).toMatch(/^unasked +nothing: the assignment fits the configuration$/m);
  });

  it("does not open the TPM, and knows its name from the assignment", async () => {
    await using swtpm = await startSwtpm();
    using gateway = createGateway();
    gateway.configure(service, { identity: tpmIdentity(swtpm.tcti), outputs: daemonTable(gateway) });
    await swtpm.kill();
    const unknown = await succeed(gateway.run("reprovision", { args: ["--dry-run"] }));
    expect(unknown).toMatchObject({ sends: { attestation: "tpm" }, hubKeyHandle: "0x81000100" });
    expect(unknown["sends"]).not.toHaveProperty("registrationId");
    await swtpm.restart();
    const { registrationId, endorsementKey } = await succeed(gateway.run("identity show"));
    const tpm = { endorsementKey };
    await service.enroll(`/enrollments/${registrationId}`, {
      ...{ registrationId, attestation: { type: "tpm", tpm } },
    });
    await succeed(gateway.run("provision"));
    await swtpm.kill();
    expect(await succeed(gateway.run("reprovision", { args: ["--dry-run"] }))).toMatchObject({
      sends: { registrationId, transports: [{ transport: "https", port: service.httpsPort }] },
      replaces: { generation: 1 },
    });
  });
});

describe("the service manager", () => {
  it("hears when the daemon is ready, what it is at, that it lives, reloads and stops", async () => {
    const gateway = await aGateway();
    const notifySocket = gateway.file("notify");
    const next = await datagramsAt(notifySocket);
    const until = async (words: RegExp): Promise<string> => {
      for (;;) {
        const said = await next();
        if (words.test(said)) return said;
      }
    };
    await using daemon = startDaemon(gateway, {
      env: { NOTIFY_SOCKET: notifySocket, WATCHDOG_USEC: "200000" },
    });
    expect(await until(/READY/)).toMatch(/^READY=1\nSTATUS=starting$/);
    expect(await until(/gw-control/)).toMatch(/^STATUS=\w+: gw-control at hub\.example/);
    await until(/^WATCHDOG=1$/);
    daemon.child.kill("SIGHUP");
    expect(await until(/RELOADING/)).toMatch(/^RELOADING=1\nMONOTONIC_USEC=\d+$/);
    await until(/^READY=1\n/);
    daemon.child.kill("SIGTERM");
    await until(/^STOPPING=1$/);
    expect((await daemon.ended).code).toBe(0);
  });

  it("may open the socket, whose first client starts the daemon, and keeps it when that has gone", async () => {
    const gateway = await aGateway({ daemon: 'idle_exit = "1s"' });
    await succeed(gateway.run("provision"));
    const socket = gateway.file("control.sock");
    // As systemd does: listening, then in time a daemon that inherits it.
    const activation = `
import os, select, socket, sys
ear = socket.socket(socket.AF_UNIX)
ear.bind(sys.argv[1])
ear.listen()
print("listening", flush=True)
for _ in range(2):
    select.select([ear], [], [])
    child = os.fork()
    if child == 0:
        os.dup2(ear.fileno(), 3)
        os.set_inheritable(3, True)
        os.environ.update(LISTEN_FDS="1", LISTEN_PID=str(os.getpid()))
        os.execvp(sys.argv[2], sys.argv[2:])
    os.waitpid(child, 0)
`;
    await using daemon = startDaemon(gateway, { under: ["python3", "-c", activation, socket] });
    await soon(() => existsSync(socket)).toBe(true);
    const pids: unknown[] = [];
    for (const _start of ["first", "second"]) {
      const { alive, usable } = (await succeed(gateway.run("status"))) as {
        alive: { pid: number };
        usable: object;
      };
      expect(usable).toMatchObject({ yes: true });
      pids.push(alive.pid);
      await daemon.logged("daemon.idle", pids.length);
      expect(existsSync(socket)).toBe(true);
    }
    expect(new Set(pids).size).toBe(2);
    expect((await daemon.ended).code).toBe(0);
  });

  it("a daemon whose announcement systemd's units would not find says so", async () => {
    const gateway = await aGateway();
    await using daemon = startDaemon(gateway, { env: { STATE_DIRECTORY: "/var/lib/mooring" } });
    expect(await daemon.logged("announcement.unheard")).toMatchObject({
      ...{ path: gateway.stateDirectory, unitsLookIn: "/var/lib/mooring" },
    });
  });

  it("is not told that the daemon failed because nobody can ask it", async () => {
    const gateway = await aGateway({ daemon: 'control_group = "no-such-group"' });
    await using daemon = startDaemon(gateway);
    expect(await daemon.logged("control.unavailable")).toMatchObject({ code: "ERR_CONTROL_SOCKET" });
    await daemon.logged("assignment.promoted");
    await succeed(gateway.run("wait"));
    expect(await succeed(gateway.run("status"))).toMatchObject({
      alive: { running: false },
      usable: { yes: true },
    });
  });
});
