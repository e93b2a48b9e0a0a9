// Keys stay where they belong: not in what is printed, not in a log, not on the service's event stream, and not in a
// file that others can read.

import { spawn } from "node:child_process";
import { createHmac, randomBytes, randomUUID } from "node:crypto";
import { once } from "node:events";
import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { daemonTable, startDaemon } from "../support/daemon.ts";
import { createGateway, type Gateway, secretForms } from "../support/gateway.ts";
import { hubKeyOf } from "../support/hub-key.ts";
import { type LocalService, startService } from "../support/local-service.ts";
import { succeed } from "../support/mooring.ts";
import { openssl } from "../support/openssl.ts";
import { issue, tpmIdentity, x509Identity } from "../support/pki.ts";
import { startSwtpm } from "../support/swtpm.ts";

let service: LocalService;

beforeAll(async () => {
  service = await startService();
});
afterAll(() => service[Symbol.asyncDispose]());

const everyWay = [
  { args: [], env: {} },
  { args: ["--verbose"], env: {} },
  { args: ["--verbose"], env: { MOORING_LOG: "json" } },
] as const;

/** Succeeds and fails in every way of talking, while the gateway watches for its secrets. */
async function talks(gateway: Gateway, ...secrets: readonly (string | Buffer)[]): Promise<void> {
  gateway.keepSecret(...secrets);
  for (const way of everyWay) {
    for (const command of ["identity show", "provision", "reprovision", "status"]) {
      const run = await gateway.run(command, way);
      expect(run.code, run.stderr).toBe(0);
    }
    const listens = readFileSync(gateway.configFile, "utf8");
    writeFileSync(gateway.configFile, listens.replace(/^id_scope = .*/m, 'id_scope = "0ne0000BEEF"'));
    expect((await gateway.run("reprovision", way)).code).toBe(77);
    writeFileSync(gateway.configFile, listens);
  }
  const events = JSON.stringify(service.events);
  for (const form of secrets.flatMap(secretForms)) expect(events.includes(form)).toBe(false);
  expect(readableByOthers(gateway.stateDirectory)).toEqual([]);
}

function readableByOthers(directory: string): string[] {
  const names = readdirSync(directory, { recursive: true, encoding: "utf8" });
  return names.filter((name) => (statSync(join(directory, name)).mode & 0o004) !== 0);
}

describe("neither success nor failure shows", () => {
  it("a private key or its password", async () => {
    const name = `gw-${randomUUID()}`;
    using gateway = createGateway();
    const { certificate, certificateFile, keyFile, key } = issue(gateway.directory, name);
    const [password, encrypted] = [gateway.file("password"), gateway.file("encrypted.key")];
    const words = randomUUID();
    writeFileSync(password, words, { mode: 0o600 });
    openssl("pkcs8", "-topk8", "-in", keyFile, "-out", encrypted, "-passout", `file:${password}`);
    gateway.configure(service, {
      identity: `${x509Identity(certificateFile, encrypted)}password_file = "${password}"\n`,
    });
    await service.enroll(`/enrollments/${name}`, {
      registrationId: name,
      attestation: { type: "x509", x509: { clientCertificates: { primary: { certificate } } } },
    });
    await talks(gateway, key, words);
  });

  it("a symmetric key, or the group key that it is derived from", async () => {
    const [groupKey, group, name] = [randomBytes(64), `group-${randomUUID()}`, `gw-${randomUUID()}`];
    const base64 = groupKey.toString("base64");
    await service.enroll(`/enrollmentGroups/${group}`, {
      enrollmentGroupId: group,
      attestation: { type: "symmetricKey", symmetricKey: { primaryKey: base64, secondaryKey: base64 } },
    });
    using gateway = createGateway();
    writeFileSync(gateway.file("group.key"), base64, { mode: 0o600 });
    gateway.configure(service, {
      identity: `[identity]\nsource = "symmetric-key"\nregistration_id = "${name}"\n[identity.symmetric_key]\ngroup_key_file = "${gateway.file("group.key")}"\n`,
    });
    await talks(gateway, groupKey, createHmac("sha256", groupKey).update(name).digest());
  });

  it("the hub's key, which only the TPM holds", async () => {
    await using swtpm = await startSwtpm();
    using gateway = createGateway(service, { identity: tpmIdentity(swtpm.tcti) });
    const { registrationId, endorsementKey } = await succeed(gateway.run("identity show"));
    await service.enroll(`/enrollments/${registrationId}`, {
      registrationId,
      attestation: { type: "tpm", tpm: { endorsementKey } },
    });
    await succeed(gateway.run("provision"));
    const key = hubKeyOf(service, String(registrationId));
    await talks(gateway, key);
    const files = readdirSync(gateway.stateDirectory, { recursive: true, encoding: "utf8" })
      .map((name) => join(gateway.stateDirectory, name))
      .filter((path) => statSync(path).isFile());
    expect(files.some((path) => path.endsWith("hub-key.tpm"))).toBe(true);
    expect(files.filter((path) => readFileSync(path).includes(key))).toEqual([]);
  });
});

it("no signal opens a debugger, by which others could read them", async () => {
  using gateway = createGateway();
  const { certificateFile, keyFile } = issue(gateway.directory, `gw-${randomUUID()}`);
  gateway.configure(service, {
    identity: x509Identity(certificateFile, keyFile),
    outputs: daemonTable(gateway),
  });
  await using daemon = startDaemon(gateway);
  await daemon.answers();
  daemon.child.kill("SIGUSR1");
  await daemon.answers();
  daemon.child.kill("SIGTERM");
  expect((await daemon.ended).stderr).not.toContain("Debugger listening");

  const script = "setInterval(() => {}, 1000); console.log('up')";
  const other = spawn(process.execPath, ["--inspect-port=0", "-e", script]);
  onTestFinished(() => void other.kill("SIGKILL"));
  await once(other.stdout, "data");
  other.kill("SIGUSR1");
  const [said] = await once(other.stderr, "data"); // negative control
  expect(String(said)).toContain("Debugger listening");
});

it("the watch for secrets sees one that is printed", async () => {
  using gateway = createGateway();
  gateway.keepSecret("missing-configuration.toml");
  await expect(
    gateway.run("status", { args: ["--config", gateway.file("missing-configuration.toml")] }),
  ).rejects.toThrow("a secret was printed or published");
});
