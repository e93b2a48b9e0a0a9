// After the first provisioning: the next boot keeps what there is and asks nobody, an operator can ask for more, and
// other programs find the assignment where the configuration wants it.

import { execFileSync } from "node:child_process";
import { randomUUID } from "node:crypto";
import {
  existsSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { createGateway, type Gateway, publicPart } from "../support/gateway.ts";
import { type LocalService, startService } from "../support/local-service.ts";
import { mooring, program, refuse, succeed, usableIn } from "../support/mooring.ts";
import { issue, x509Identity } from "../support/pki.ts";

let service: LocalService;
let gateway: Gateway;
let name: string;
let identity: string;

beforeAll(async () => {
  service = await startService("--hub", "hub.example");
});
afterAll(() => service[Symbol.asyncDispose]());

beforeEach(async () => {
  name = `gw-${randomUUID()}`;
  gateway = createGateway();
  const { certificate, certificateFile, keyFile, key } = issue(gateway.directory, name);
  identity = x509Identity(certificateFile, keyFile);
  gateway.configure(service, { identity });
  gateway.keepSecret(key);
  await enroll(certificate);
});
afterEach(() => gateway[Symbol.dispose]());

const enroll = (certificate: string, more: object = {}): Promise<void> =>
  service.enroll(`/enrollments/${name}`, {
    registrationId: name,
    attestation: { type: "x509", x509: { clientCertificates: { primary: { certificate } } } },
    ...more,
  });

/** The sockets that a command opens and the connections that it makes, as strace tells them. */
async function networkCallsOf(
  command: string,
): Promise<{ answer: Record<string, unknown>; calls: string[] }> {
  const trace = gateway.file("trace");
  const under = ["strace", "-f", "--seccomp-bpf", "-e", "trace=socket,connect", "-o", trace];
  const answer = await succeed(gateway.run(command, { under }));
  const calls = readFileSync(trace, "utf8")
    .split("\n")
    .filter((line) => /\b(socket|connect)\(/.test(line));
  return { answer, calls };
}

/** The files of the bundle that a command opens. */
async function loadedBy(command: string): Promise<string[]> {
  const trace = gateway.file("trace");
  const under = ["strace", "-f", "--seccomp-bpf", "-e", "trace=openat", "-o", trace];
  await succeed(gateway.run(command, { under }));
  const files = readFileSync(trace, "utf8").matchAll(/\/dist\/([\w-]+)\.c?js"/g);
  return [...new Set([...files].map(([, file = ""]) => file))].sort();
}

describe("a second provision", () => {
  it("loads nothing of what the first one needs to register", async () => {
    expect(await loadedBy("provision")).toEqual(["errors", "main", "mqtt", "provisioning"]);
    expect(await loadedBy("provision")).toEqual(["errors", "main", "provisioning"]);
  });

  it("keeps the assignment without a single socket, with the service stopped", async () => {
    const first = await networkCallsOf("provision");
    expect(first.calls.join("\n")).toContain(`htons(${service.mqttPort})`);
    expect(first.answer).toMatchObject({ outcome: "assigned", trigger: "first-boot" });
    const output = statSync(join(gateway.stateDirectory, "hub.env"));

    await service.stop();
    try {
      const second = await networkCallsOf("provision");
      expect(second.calls).toEqual([]);
      expect(second.answer).toMatchObject({ outcome: "kept" });
      expect(publicPart(second.answer)).toEqual(publicPart(first.answer));
      expect(statSync(join(gateway.stateDirectory, "hub.env"))).toMatchObject({
        ino: output.ino,
        mtimeMs: output.mtimeMs,
      });
      expect((await networkCallsOf("status")).calls).toEqual([]);
    } finally {
      await service.restart();
    }
  });

  it("writes an output again that somebody removed or changed", async () => {
    await succeed(gateway.run("provision"));
    const output = join(gateway.stateDirectory, "hub.env");
    const content = readFileSync(output, "utf8");
    rmSync(output);
    await succeed(gateway.run("provision"));
    expect(readFileSync(output, "utf8")).toBe(content);
    writeFileSync(output, "IOTHUB_HOSTNAME=elsewhere\n");
    await succeed(gateway.run("provision"));
    expect(readFileSync(output, "utf8")).toBe(content);
  });

  it("registers again when the certificate's key has changed", async () => {
    await succeed(gateway.run("provision"));
    const { certificate } = issue(gateway.directory, name);
    await enroll(certificate);
    expect(await succeed(gateway.run("provision"))).toMatchObject({ trigger: "identity-changed" });
  });

  it("waits its turn: of two at once one registers, and none is left without an assignment", async () => {
    const runs = await Promise.all([gateway.run("provision"), gateway.run("provision")]);
    const codes = runs.map(({ code }) => code).sort();
    expect([
      [0, 0],
      [0, 75],
    ]).toContainEqual(codes);
    await succeed(gateway.run("status"));
    expect(readdirSync(join(gateway.stateDirectory, "generations"))).toEqual(["000001"]);
  });
});

describe("reprovision", () => {
  it("makes a second generation current, and keeps the first beside it", async () => {
    const first = await succeed(gateway.run("provision"));
    const before = gateway.assignment();
    const second = await succeed(gateway.run("reprovision"));
    expect(second).toMatchObject({ outcome: "assigned", trigger: "operator", assignedHub: "hub.example" });
    expect(second["operationId"]).not.toBe(first["operationId"]);
    expect(readlinkSync(join(gateway.stateDirectory, "current"))).toBe("generations/000002");
    const kept = readFileSync(join(gateway.stateDirectory, "generations/000001/assignment.json"), "utf8");
    expect(JSON.parse(kept)).toEqual(before);
    expect(await usableIn(gateway.run("status"))).toMatchObject({ generation: 2, ...publicPart(second) });
  });

  it("moves to the hub that the service now names, and publishes it", async () => {
    await succeed(gateway.run("provision"));
    const change = ["enrollment", "update", name, "--device-id", "renamed", "--json"];
    await succeed(service.operator(...change));
    expect(await succeed(gateway.run("reprovision"))).toMatchObject({ deviceId: "renamed" });
    expect(readFileSync(join(gateway.stateDirectory, "hub.env"), "utf8")).toContain(
      'IOTHUB_DEVICE_ID="renamed"',
    );
  });

  it("that fails leaves assignment and outputs as they were", async () => {
    const first = await succeed(gateway.run("provision"));
    const output = readFileSync(join(gateway.stateDirectory, "hub.env"));
    await succeed(service.operator("enrollment", "update", name, "--status", "disabled", "--json"));
    await refuse(gateway.run("reprovision"), "ERR_DISABLED");
    expect(publicPart(await usableIn(gateway.run("status")))).toEqual(publicPart(first));
    expect(readFileSync(join(gateway.stateDirectory, "hub.env"))).toEqual(output);
    // The service is asked once more, and the gateway goes on with what it has, loudly.
    const next = await gateway.run("provision");
    expect(next).toMatchObject({
      code: 0,
      stderr: expect.stringMatching(/assignment.unconfirmed.*ERR_DISABLED/),
    });
    expect(next.json).toMatchObject({ outcome: "kept", ...publicPart(first) });
    await service.stop();
    expect((await gateway.run("provision")).json).toMatchObject({ outcome: "kept" });
    await service.restart();
  });
});

describe("status", () => {
  it("exits with 66 before there is an assignment, and with 0 once there is", async () => {
    const none = await gateway.run("status");
    expect(none).toMatchObject({ code: 66, stderr: "" });
    expect(none.json).toMatchObject({
      alive: { running: false },
      usable: { yes: false, because: "there is no assignment" },
      decision: { act: "provision", trigger: "first-boot" },
    });
    expect(existsSync(gateway.stateDirectory)).toBe(false);
    await succeed(gateway.run("provision"));
    expect(await succeed(gateway.run("status"))).toMatchObject({
      alive: { running: false },
      usable: { yes: true, generation: 1, assignment: { assignedHub: "hub.example", deviceId: name } },
      confirmed: { at: gateway.assignment()["assignedAt"], by: "service" },
      decision: { act: "keep" },
      clock: "plausible",
    });
  });

  it("tells what the next provision would do, and why", async () => {
    await succeed(gateway.run("provision"));
    gateway.configure({ ...service, idScope: "0ne0000BEEF" }, { identity });
    expect(await succeed(gateway.run("status"))).toMatchObject({
      decision: {
        act: "provision",
        trigger: "config-changed",
        because: expect.stringContaining("0ne0000BEEF"),
      },
    });
  });

  it("answers people in lines", async () => {
    await succeed(gateway.run("provision"));
    const { code, stdout } = await mooring(["status", "--config", gateway.configFile]);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^hub +hub\.example$/m);
    expect(stdout).toMatch(/^device id +gw-/m);
    expect(stdout).not.toContain("\u001b");
  });
});

describe("a payload", () => {
  it("goes along with the registration, from the configuration or from a file", async () => {
    gateway.configure(service, { identity, provisioning: 'payload = { site = "plant 7", line = 3 }' });
    await succeed(gateway.run("provision"));
    expect(service.stored("registration", name)).toMatchObject({
      devicePayload: { site: "plant 7", line: 3 },
    });
    writeFileSync(gateway.file("payload.json"), '{"site":["Łódź",null]}');
    gateway.configure(service, {
      identity,
      provisioning: `payload_file = "${gateway.file("payload.json")}"\ntransport = "https"`,
    });
    await succeed(gateway.run("reprovision"));
    expect(service.stored("registration", name)).toMatchObject({ devicePayload: { site: ["Łódź", null] } });
  });
});

describe("outputs", () => {
  it("are written in every format, with their modes, and their commands run once", async () => {
    const { file } = gateway;
    writeFileSync(file("template"), "[hub]\nhost = {{ assigned_hub }}:8883\nid = {{ device_id }}\n");
    const onChange = `on_change = ["sh", "-c", "echo $IOTHUB_HOSTNAME >> ${file("told")}"]`;
    gateway.configure(service, {
      identity,
      outputs: `[[outputs]]\npath = "${file("out/hub.env")}"\nformat = "env"\nmode = "0644"\n${onChange}
[[outputs]]\npath = "${file("out/hub.json")}"\nformat = "json"\nmode = 0o600
[[outputs]]\npath = "${file("out/hub.toml")}"\nformat = "toml"
[[outputs]]\npath = "${file("out/hub.ini")}"\nformat = "template"\ntemplate = "${file("template")}"\n`,
    });
    const answer = await succeed(gateway.run("provision"));
    await succeed(gateway.run("provision"));

    const mode = (path: string): string => (statSync(file(path)).mode & 0o777).toString(8);
    expect(["out/hub.env", "out/hub.json", "out/hub.toml", "out/hub.ini"].map(mode)).toEqual([
      "644",
      "600",
      "640",
      "640",
    ]);
    const sourced = execFileSync(
      "sh",
      ["-euc", `. ${file("out/hub.env")}; echo "$IOTHUB_HOSTNAME $IOTHUB_DEVICE_ID $DPS_ID_SCOPE"`],
      { encoding: "utf8" },
    );
    expect(sourced).toBe(`hub.example ${name} ${service.idScope}\n`);
    const { assignedHub, deviceId, transport } = answer;
    expect(JSON.parse(readFileSync(file("out/hub.json"), "utf8"))).toMatchObject({
      ...{ assignedHub, deviceId, transport },
    });
    expect(readFileSync(file("out/hub.toml"), "utf8")).toContain('assigned_hub = "hub.example"');
    expect(readFileSync(file("out/hub.ini"), "utf8")).toBe(`[hub]\nhost = hub.example:8883\nid = ${name}\n`);
    expect(readFileSync(file("told"), "utf8")).toBe("hub.example\n");
  });

  it("that fail are reported with their own exit code, and the assignment stays", async () => {
    const blocked = gateway.file("config.toml/hub.env");
    gateway.configure(service, {
      identity,
      outputs: `[[outputs]]\npath = "${blocked}"\n[[outputs]]\npath = "${gateway.file("good.env")}"\n`,
    });
    const run = await gateway.run("provision");
    expect(run).toMatchObject({ code: 73, stderr: expect.stringContaining("ERR_OUTPUT") });
    expect(run.json).toMatchObject({
      outcome: "assigned",
      outputs: [
        { path: blocked, status: "failed", code: "ERR_OUTPUT" },
        { path: gateway.file("good.env"), status: "written" },
      ],
    });
    expect(await usableIn(gateway.run("status"))).toMatchObject({ deviceId: name });
  });
});

describe("the polling pause", () => {
  it("is kept when the service asks for it, and the assignment is the same", async () => {
    await using patient = await startService("--retry-after", "3");
    const { certificate } = issue(gateway.directory, name);
    await patient.enroll(`/enrollments/${name}`, {
      registrationId: name,
      attestation: { type: "x509", x509: { clientCertificates: { primary: { certificate } } } },
    });
    gateway.configure(patient, { identity });
    const run = await gateway.run("provision");
    expect(run.code, run.stderr).toBe(0);
    expect(run.elapsedMs).toBeGreaterThan(3000);
    expect(run.json).toMatchObject({ deviceId: name, substatus: "initialAssignment" });
  });
});

it("the program can be linked to and started from anywhere", async () => {
  const link = gateway.file("mooring");
  execFileSync("ln", ["-s", program, link]);
  const version = execFileSync(link, ["--version"], { encoding: "utf8", cwd: "/" });
  expect(version).toMatch(/^\d+\.\d+\.\d+\n$/);
});
