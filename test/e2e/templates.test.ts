// One configuration for many gateways: the registration id and the payload are made of what each machine says about
// itself. The board's DMI table is played by a dmidecode of the test's own.

import { randomBytes } from "node:crypto";
import { copyFileSync, existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { createGateway, type Gateway } from "../support/gateway.ts";
import { type LocalService, startService } from "../support/local-service.ts";
import { refuse, succeed } from "../support/mooring.ts";
import { makeCertificate } from "../support/openssl.ts";
import { issue, tpmIdentity, x509Identity } from "../support/pki.ts";
import { startSwtpm } from "../support/swtpm.ts";

let service: LocalService;
let gateway: Gateway;

beforeAll(async () => {
  service = await startService("--hub", "hub.example");
  await service.enroll("/enrollmentGroups/keys", {
    enrollmentGroupId: "keys",
    attestation: {
      type: "symmetricKey",
      symmetricKey: { primaryKey: groupKey, secondaryKey: randomBytes(64).toString("base64") },
    },
  });
});
afterAll(() => service[Symbol.asyncDispose]());

beforeEach(() => {
  gateway = createGateway();
  writeFileSync(gateway.file("group.key"), groupKey, { mode: 0o600 });
});
afterEach(() => gateway[Symbol.dispose]());

const groupKey = randomBytes(64).toString("base64");

const groupIdentity = (registrationId: string): string =>
  `[identity]\nsource = "symmetric-key"\nregistration_id = "${registrationId}"\n[identity.symmetric_key]\ngroup_key_file = "group.key"\n`;

/** The environment of a board with this DMI table; `asked` names the file that tells whether anybody read it. */
function board(serial: string): { PATH: string } {
  writeFileSync(gateway.file("table"), `System Information\n\tSerial Number: ${serial}\n`);
  writeFileSync(
    gateway.file("dmidecode"),
    `#!/bin/sh\n: > "${gateway.file("asked")}"\ncat "${gateway.file("table")}"\n`,
    { mode: 0o755 },
  );
  return { PATH: `${gateway.directory}:${process.env["PATH"]}` };
}

describe("a registration id with the board's serial number", () => {
  it("is shown, registered, and kept on the next boot", async () => {
    gateway.configure(service, { identity: groupIdentity(`gw-\${serial}`) });
    const env = board("SN-0042");
    expect(await succeed(gateway.run("identity show", { env }))).toMatchObject({
      registrationId: "gw-SN-0042",
    });
    expect(await succeed(gateway.run("provision", { env }))).toMatchObject({
      registrationId: "gw-SN-0042",
      outcome: "assigned",
    });
    expect(service.stored("registration", "gw-sn-0042")).toMatchObject({ status: "assigned" });

    expect(await succeed(gateway.run("provision", { env }))).toMatchObject({ outcome: "kept" });
    expect(await succeed(gateway.run("status", { env }))).toMatchObject({ decision: { act: "keep" } });
  });

  it("registers the board that the card was moved to under the new board's name", async () => {
    gateway.configure(service, { identity: groupIdentity(`gw-\${serial}`) });
    await succeed(gateway.run("provision", { env: board("SN-1") }));
    expect(await succeed(gateway.run("provision", { env: board("SN-2") }))).toMatchObject({
      registrationId: "gw-SN-2",
      trigger: "config-changed",
    });
  });

  it("keeps the assignment of a board that does not tell its serial number today, and says so", async () => {
    gateway.configure(service, { identity: groupIdentity(`gw-\${serial}`) });
    await succeed(gateway.run("provision", { env: board("SN-3") }));
    const run = await gateway.run("provision", { env: board("Default string") });
    expect(run).toMatchObject({ code: 0, json: { outcome: "kept", registrationId: "gw-SN-3" } });
    expect(run.stderr).toContain("ERR_FACT_MISSING");
  });

  it("does not register a board that never had one, and says which fact it lacks", async () => {
    gateway.configure(service, { identity: groupIdentity(`gw-\${serial}`) });
    for (const command of ["provision", "identity show"]) {
      const error = await refuse(
        gateway.run(command, { env: board("To Be Filled By O.E.M.") }),
        "ERR_FACT_MISSING",
      );
      expect(error).toMatchObject({
        message: expect.stringMatching(/registration_id uses \$\{serial}.*DMI/),
        hint: expect.stringContaining("mooring identity facts"),
      });
    }
  });

  it("is held to DPS's rules before anything is sent", async () => {
    gateway.configure({ ...service, httpsPort: 1, mqttPort: 1 }, { identity: groupIdentity(`\${serial}`) });
    const error = await refuse(
      gateway.run("provision", { env: board("SN 4 B") }),
      "ERR_REGISTRATION_ID_INVALID",
    );
    expect(error["message"]).toContain('"SN 4 B"');
    expect(error["message"]).toContain('" " is not allowed');
  });

  it("costs nothing where no template uses it", async () => {
    gateway.configure(service, {
      identity: groupIdentity("gw-plain"),
      provisioning: `payload = { at = "\${hostname}" }`,
    });
    const env = board("SN-5");
    await succeed(gateway.run("provision", { env }));
    await succeed(gateway.run("provision", { env }));
    expect(existsSync(gateway.file("asked"))).toBe(false);
    gateway.configure(service, { identity: groupIdentity(`gw-\${serial}`) });
    await succeed(gateway.run("provision", { env }));
    expect(existsSync(gateway.file("asked"))).toBe(true);
  });
});

describe("a payload with facts", () => {
  it("reaches the service with them filled in", async () => {
    const { certificate, certificateFile, keyFile } = issue(gateway.directory, "gw-payload");
    await service.enroll("/enrollments/gw-payload", {
      registrationId: "gw-payload",
      attestation: { type: "x509", x509: { clientCertificates: { primary: { certificate } } } },
    });
    gateway.configure(service, {
      identity: x509Identity(certificateFile, keyFile),
      provisioning: `payload = { board = { model = "gate \${serial}", all = ["\${serial}", "\${cn}"] }, line = 4 }`,
    });
    await succeed(gateway.run("provision", { env: board("SN-6") }));
    expect(service.stored("registration", "gw-payload")).toMatchObject({
      devicePayload: { board: { model: "gate SN-6", all: ["SN-6", "gw-payload"] }, line: 4 },
    });
  });
});

describe("a registration id with a fact of the identity", () => {
  it("is the common name of the certificate that is there now, though its key is the same", async () => {
    const first = issue(gateway.directory, "gw-before");
    const after = makeCertificate(gateway.directory, "after.pem", {
      key: first.keyFile,
      subject: "/CN=gw-after",
      extensions: ["basicConstraints = critical, CA:FALSE", "extendedKeyUsage = clientAuth"],
    });
    for (const [name, file] of [
      ["gw-before", first.certificateFile],
      ["gw-after", after],
    ] as const) {
      const certificate = readFileSync(file, "utf8");
      await service.enroll(`/enrollments/${name}`, {
        registrationId: name,
        attestation: { type: "x509", x509: { clientCertificates: { primary: { certificate } } } },
      });
    }
    const identity = x509Identity(first.certificateFile, first.keyFile).replace(
      "[identity]\n",
      `[identity]\nregistration_id = "\${cn}"\n`,
    );
    gateway.configure(service, { identity });
    expect(await succeed(gateway.run("provision"))).toMatchObject({ registrationId: "gw-before" });
    expect(await succeed(gateway.run("provision"))).toMatchObject({ outcome: "kept" });
    copyFileSync(after, first.certificateFile);
    expect(await succeed(gateway.run("provision"))).toMatchObject({ registrationId: "gw-after" });
  });

  it("is the TPM's endorsement key; keeping it opens no TPM", async () => {
    const swtpm = await startSwtpm();
    try {
      gateway.configure(service, {
        identity: tpmIdentity(swtpm.tcti, `registration_id = "gw-\${ek-sha256}"`),
      });
      const shown = await succeed(gateway.run("identity show"));
      const registrationId = `gw-${shown["endorsementKeySha256"]}`;
      expect(shown).toMatchObject({ registrationId });
      expect(await succeed(gateway.run("identity facts"))).toMatchObject({
        "ek-sha256": shown["endorsementKeySha256"],
        cn: null,
      });
      await service.enroll(`/enrollments/${registrationId}`, {
        registrationId,
        attestation: { type: "tpm", tpm: { endorsementKey: shown["endorsementKey"] } },
      });
      expect(await succeed(gateway.run("provision"))).toMatchObject({ registrationId, outcome: "assigned" });
    } finally {
      await swtpm.stop();
    }
    expect(await succeed(gateway.run("provision"))).toMatchObject({ outcome: "kept" });
    gateway.configure(service, {
      identity: tpmIdentity(swtpm.tcti, `registration_id = "other-\${ek-sha256}"`),
    });
    expect(await succeed(gateway.run("status"))).toMatchObject({
      decision: { act: "provision", trigger: "config-changed" },
    });
  });
});

describe("identity facts", () => {
  it("lists what this machine has and what it lacks, without a configuration too", async () => {
    rmSync(gateway.configFile, { force: true });
    const facts = await succeed(gateway.run("identity facts", { env: board("SN-7") }));
    expect(facts).toMatchObject({ serial: "SN-7", cn: null, "ek-sha256": null });
    expect(Object.keys(facts)).toEqual(expect.arrayContaining(["product", "machine-id", "hostname"]));
  });
});
