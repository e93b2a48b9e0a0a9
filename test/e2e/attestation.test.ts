// Every kind of credential over every transport that DPS allows for it, from the files on the gateway to the service's
// records: real processes, real sockets.

import { createHmac, randomBytes } from "node:crypto";
import { statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createGateway, type Gateway, publicFields, publicPart } from "../support/gateway.ts";
import { type LocalService, startService } from "../support/local-service.ts";
import { refuse, succeed } from "../support/mooring.ts";
import { openssl } from "../support/openssl.ts";
import { type Issued, issue, tpmIdentity, writeChain, x509Identity } from "../support/pki.ts";
import { startSwtpm } from "../support/swtpm.ts";

const transports = ["https", "mqtt", "mqtt-ws"] as const;
type TransportName = (typeof transports)[number];

let service: LocalService;
let gateway: Gateway;

beforeAll(async () => {
  service = await startService("--hub", "hub.example");
  gateway = createGateway();
});
afterAll(async () => {
  gateway[Symbol.dispose]();
  await service[Symbol.asyncDispose]();
});

/** Provisions with this identity and holds the answer, the state and the service's record against one another. */
async function provisions(
  transport: TransportName,
  identity: string,
  expected: { registrationId: string; attestation: string; deviceId?: string },
): Promise<void> {
  using own = createGateway(service, { identity, provisioning: `transport = "${transport}"` });
  const { registrationId, attestation, deviceId = registrationId } = expected;
  const answer = await succeed(own.run("provision"));
  expect(answer).toMatchObject({
    assignedHub: "hub.example",
    idScope: service.idScope,
    transport,
    registrationId,
    attestation,
    deviceId,
  });
  expect(publicFields.filter((name) => typeof answer[name] !== "string")).toEqual([]);
  expect(Math.abs(Date.parse(String(answer["assignedAt"])) - Date.now())).toBeLessThan(30_000);
  expect(publicPart(own.assignment())).toEqual(publicPart(answer));
  expect(statSync(join(own.stateDirectory, "current/assignment.json")).mode & 0o777).toBe(0o600);
  expect(service.stored("registration", registrationId.toLowerCase())).toMatchObject({
    status: "assigned",
    assignedHub: "hub.example",
    deviceId,
    attestation,
  });
  await expect
    .poll(() => service.events)
    .toContainEqual(expect.objectContaining({ event: "device.registered", registrationId, transport }));
}

const names = new Set<string>();
/** A registration id for one test alone. */
function newName(): string {
  const name = `gw-${names.size}`;
  names.add(name);
  return name;
}

describe("an X.509 certificate of its own", () => {
  it.each([
    ["RSA 2048", "https"],
    ["RSA 2048", "mqtt"],
    ["EC P-256", "mqtt"],
    ["EC P-256", "mqtt-ws"],
    ["EC P-384", "https"],
    ["EC P-384", "mqtt-ws"],
  ] as const)("with an %s key provisions over %s", async (keyType, transport) => {
    const name = newName();
    const { certificateFile, keyFile } = issue(gateway.directory, name, { keyType });
    await succeed(
      service.operator(
        ...["enrollment", "create", "--registration-id", name, "--certificate", certificateFile],
        ...["--device-id", `device-${name}`, "--json"],
      ),
    );
    await provisions(transport, x509Identity(certificateFile, keyFile), {
      registrationId: name,
      attestation: "x509",
      deviceId: `device-${name}`,
    });
  });

  it("may come as PKCS#12", async () => {
    const name = newName();
    const { certificateFile, keyFile } = issue(gateway.directory, name);
    const [archive, password] = [gateway.file("device.p12"), gateway.file("device.password")];
    writeFileSync(password, "correct horse\n", { mode: 0o600 });
    openssl(
      ...["pkcs12", "-export", "-in", certificateFile, "-inkey", keyFile, "-out", archive],
      ...["-passout", `file:${password}`],
    );
    await succeed(
      service.operator(
        ...["enrollment", "create", "--registration-id", name, "--certificate", certificateFile, "--json"],
      ),
    );
    const identity = `[identity]\nsource = "x509"\n[identity.x509]\npkcs12 = "${archive}"\npassword_file = "${password}"\n`;
    await provisions("mqtt", identity, { registrationId: name, attestation: "x509" });
  });

  it("may have an encrypted key, with its password in a file", async () => {
    const name = newName();
    const { certificateFile, keyFile } = issue(gateway.directory, name);
    const [encrypted, password] = [gateway.file("encrypted.key"), gateway.file("key.password")];
    writeFileSync(password, "correct horse", { mode: 0o600 });
    openssl("pkcs8", "-topk8", "-in", keyFile, "-out", encrypted, "-passout", `file:${password}`);
    await succeed(
      service.operator(
        ...["enrollment", "create", "--registration-id", name, "--certificate", certificateFile, "--json"],
      ),
    );
    const identity = `${x509Identity(certificateFile, encrypted)}password_file = "${password}"\n`;
    await provisions("https", identity, { registrationId: name, attestation: "x509" });

    writeFileSync(password, "wrong", { mode: 0o600 });
    using other = createGateway(service, { identity });
    other.keepSecret("wrong");
    await refuse(other.run("provision"), "ERR_KEY_PASSWORD");
  });
});

describe("an X.509 certificate of an enrolled CA", () => {
  let root: Issued;
  let intermediate: Issued;

  beforeAll(async () => {
    root = issue(gateway.directory, "root", { isCa: true });
    intermediate = issue(gateway.directory, "intermediate", { isCa: true, by: root });
    const other = issue(gateway.directory, "other-intermediate", { isCa: true });
    for (const [group, authority] of [
      ["by-root", root],
      ["by-intermediate", other],
    ] as const) {
      await succeed(
        service.operator(
          ...["enrollment-group", "create", "--group-id", group],
          ...["--certificate", authority.certificateFile, "--json"],
        ),
      );
    }
  });

  it.each(transports)("provisions over %s when it sends its chain up to the root", async (transport) => {
    const name = newName();
    const leaf = issue(gateway.directory, name, { by: intermediate });
    const chain = writeChain(gateway.directory, `${name}.chain`, leaf, intermediate);
    await provisions(transport, x509Identity(chain, leaf.keyFile), {
      registrationId: name,
      attestation: "x509",
    });
    expect(service.stored("registration", name)).toMatchObject({ enrollmentGroupId: "by-root" });
  });

  it("provisions by its leaf alone when its own issuer is enrolled", async () => {
    const name = newName();
    const leaf = issue(gateway.directory, name, { by: root });
    await provisions("mqtt", x509Identity(leaf.certificateFile, leaf.keyFile), {
      registrationId: name,
      attestation: "x509",
    });
  });

  it("is refused when the chain to the enrolled root has a gap", async () => {
    const leaf = issue(gateway.directory, newName(), { by: intermediate });
    using own = createGateway(service, { identity: x509Identity(leaf.certificateFile, leaf.keyFile) });
    expect(await refuse(own.run("provision"), "ERR_UNAUTHORIZED")).toMatchObject({
      serviceErrorCode: 401002,
    });
  });
});

describe("a symmetric key", () => {
  const identity = (name: string, line: string): string =>
    `[identity]\nsource = "symmetric-key"\nregistration_id = "${name}"\n[identity.symmetric_key]\n${line}\n`;

  it.each(transports)("of its own provisions over %s", async (transport) => {
    const name = newName();
    const key = gateway.file(`${name}.key`);
    writeFileSync(key, `${randomBytes(64).toString("base64")}\n`, { mode: 0o600 });
    await succeed(
      service.operator(
        ...["enrollment", "create", "--registration-id", name, "--symmetric-key-file", key, "--json"],
      ),
    );
    await provisions(transport, identity(name, `key_file = "${key}"`), {
      registrationId: name,
      attestation: "symmetricKey",
    });
  });

  it.each(transports)(
    "of a group provisions over %s, derived on the gateway or before",
    async (transport) => {
      const groupKey = randomBytes(64);
      const group = `keys-${transport}`;
      const groupFile = gateway.file(`${group}.key`);
      writeFileSync(groupFile, groupKey.toString("base64"), { mode: 0o600 });
      await succeed(
        service.operator(
          ...["enrollment-group", "create", "--group-id", group, "--symmetric-key-file", groupFile, "--json"],
        ),
      );
      const [deriving, derived] = [newName(), newName()];
      await provisions(transport, identity(deriving, `group_key_file = "${groupFile}"`), {
        registrationId: deriving,
        attestation: "symmetricKey",
      });
      const own = createHmac("sha256", groupKey).update(derived).digest("base64");
      const ownFile = gateway.file(`${derived}.key`);
      writeFileSync(ownFile, own, { mode: 0o600 });
      await provisions(transport, identity(derived, `key_file = "${ownFile}"`), {
        registrationId: derived,
        attestation: "symmetricKey",
      });
    },
  );
});

describe("a TPM", () => {
  it("provisions over HTTPS, and says in the configuration check why not over MQTT", async () => {
    await using swtpm = await startSwtpm();
    using own = createGateway(service, { identity: tpmIdentity(swtpm.tcti) });
    const { registrationId, endorsementKey } = await succeed(own.run("identity show"));
    await succeed(
      service.operator(
        ...["enrollment", "create", "--registration-id", String(registrationId)],
        ...["--endorsement-key", String(endorsementKey), "--json"],
      ),
    );
    await provisions("https", tpmIdentity(swtpm.tcti), {
      registrationId: String(registrationId),
      attestation: "tpm",
    });

    for (const transport of ["mqtt", "mqtt-ws"]) {
      own.configure(service, {
        identity: tpmIdentity(swtpm.tcti),
        provisioning: `transport = "${transport}"`,
      });
      for (const command of ["config check", "provision"]) {
        const { problems } = await refuse(own.run(command), "ERR_CONFIG_INVALID");
        expect(problems).toEqual([
          expect.stringContaining(
            `provisioning.transport: "${transport}" cannot carry TPM attestation; use "https" or "auto"`,
          ),
        ]);
      }
    }
  });
});
