// What a gateway hears when it may not register: always the documented code, the service's own error code and tracking
// id where there is one, an exit code for scripts, and nothing lost or leaked.

import { randomBytes, randomUUID } from "node:crypto";
import { once } from "node:events";
import { copyFileSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import { Agent, request } from "node:https";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { ErrorCode } from "../../src/errors.ts";
import { createGateway, type Gateway, publicPart } from "../support/gateway.ts";
import { type LocalService, startService } from "../support/local-service.ts";
import { refuse, succeed, usableIn } from "../support/mooring.ts";
import { type Issued, issue, x509Identity } from "../support/pki.ts";

let service: LocalService;
let gateway: Gateway;
let name: string;
let device: Issued;

beforeAll(async () => {
  service = await startService();
});
afterAll(() => service[Symbol.asyncDispose]());

beforeEach(async () => {
  name = `gw-${randomUUID()}`;
  gateway = createGateway();
  device = issue(gateway.directory, name);
  gateway.keepSecret(device.key);
  gateway.configure(service, { identity: x509Identity(device.certificateFile, device.keyFile) });
  await enroll(device);
});
afterEach(() => gateway[Symbol.dispose]());

const enroll = ({ certificate }: Issued, more: object = {}): Promise<void> =>
  service.enroll(`/enrollments/${name}`, {
    registrationId: name,
    attestation: { type: "x509", x509: { clientCertificates: { primary: { certificate } } } },
    ...more,
  });

/** Refused as documented, and without a trace on the gateway's disk. */
async function isRefused(code: ErrorCode): Promise<Record<string, unknown>> {
  const error = await refuse(gateway.run("provision"), code);
  expect(existsSync(join(gateway.stateDirectory, "current"))).toBe(false);
  expect(existsSync(join(gateway.stateDirectory, "hub.env"))).toBe(false);
  return error;
}

describe.each(["https", "mqtt", "mqtt-ws"])("over %s", (transport) => {
  const use = (identity = x509Identity(device.certificateFile, device.keyFile), address: object = {}): void =>
    gateway.configure({ ...service, ...address }, { identity, provisioning: `transport = "${transport}"` });

  it("an unknown device is told to be enrolled", async () => {
    use();
    await service.operator("enrollment", "delete", name, "--yes", "--json");
    const error = await isRefused("ERR_NOT_ENROLLED");
    expect(error).toMatchObject({ exitCode: 77, serviceErrorCode: 404201 });
    expect(error["trackingId"]).toMatch(/^[0-9a-f-]{36}$/);
  });

  it("a disabled device is told so", async () => {
    use();
    await enroll(device, { provisioningStatus: "disabled" });
    expect(await isRefused("ERR_DISABLED")).toMatchObject({ exitCode: 77 });
  });

  it("another certificate of the same name is refused", async () => {
    use();
    await enroll(issue(gateway.directory, `${name}`));
    const impostor = createGateway();
    try {
      const { certificateFile, keyFile } = issue(impostor.directory, name);
      use(x509Identity(certificateFile, keyFile));
      const error = await isRefused("ERR_UNAUTHORIZED");
      expect(error).toMatchObject({ exitCode: 77, serviceErrorCode: 401002 });
      expect(error["serviceMessage"]).toMatch(/^Invalid certificate/);
    } finally {
      impostor[Symbol.dispose]();
    }
  });

  it("a certificate of a stranger's CA is refused where a group would have let it in", async () => {
    const [ours, theirs] = ["ours", "theirs"].map((ca) =>
      issue(gateway.directory, `${name}-${ca}`.slice(0, 60), { isCa: true }),
    ) as [Issued, Issued];
    const group = `group-${randomUUID()}`;
    await service.enroll(`/enrollmentGroups/${group}`, {
      enrollmentGroupId: group,
      attestation: {
        type: "x509",
        x509: { signingCertificates: { primary: { certificate: ours.certificate } } },
      },
    });
    const { certificateFile, keyFile } = issue(gateway.directory, randomUUID(), { by: theirs });
    use(x509Identity(certificateFile, keyFile));
    expect(await isRefused("ERR_UNAUTHORIZED")).toMatchObject({ serviceErrorCode: 401002 });
    await succeed(service.operator("enrollment-group", "delete", group, "--yes", "--json"));
  });

  it("another id scope is refused", async () => {
    use(undefined, { idScope: "0ne0000BEEF" });
    expect(await isRefused("ERR_NOT_ENROLLED")).toMatchObject({ serviceErrorCode: 404000 });
  });

  it("a wrong symmetric key is refused, and shown nowhere", async () => {
    const [right, wrong] = [randomBytes(32), randomBytes(32)];
    await service.enroll(`/enrollments/${name}-key`, {
      registrationId: `${name}-key`,
      attestation: {
        type: "symmetricKey",
        symmetricKey: { primaryKey: right.toString("base64"), secondaryKey: right.toString("base64") },
      },
    });
    writeFileSync(gateway.file("symmetric.key"), wrong.toString("base64"), { mode: 0o600 });
    gateway.keepSecret(wrong);
    use(
      `[identity]\nsource = "symmetric-key"\nregistration_id = "${name}-key"\n[identity.symmetric_key]\nkey_file = "${gateway.file("symmetric.key")}"\n`,
    );
    expect(await isRefused("ERR_UNAUTHORIZED")).toMatchObject({
      exitCode: 77,
      status: 401,
      hint: expect.stringContaining("mooring identity show"),
    });
  });

  it("a server that nobody vouches for is not told anything", async () => {
    use(undefined, { caFile: undefined });
    const error = await isRefused("ERR_TLS_SERVER");
    expect(error).toMatchObject({ exitCode: 69, hint: expect.stringContaining("ca_file") });
    expect(service.stored("registration", name)).toEqual({});
  });
});

describe("an expired certificate", () => {
  beforeEach(() => {
    device = issue(gateway.directory, name, { days: -1 });
    gateway.configure(service, { identity: x509Identity(device.certificateFile, device.keyFile) });
  });

  it("is noticed on the gateway, before the network is asked", async () => {
    await service.stop();
    try {
      const error = await isRefused("ERR_CERTIFICATE_EXPIRED");
      expect(error).toMatchObject({ exitCode: 78, message: expect.stringContaining(device.certificateFile) });
    } finally {
      await service.restart();
    }
  });

  it("is refused by the service as well, whoever sends it", async () => {
    await enroll(device);
    const agent = new Agent();
    const sending = request({
      agent,
      host: "localhost",
      port: service.httpsPort,
      ca: readFileSync(service.caFile),
      cert: device.certificate,
      key: device.key,
      method: "PUT",
      path: `/${service.idScope}/registrations/${name}/register?api-version=2021-06-01`,
      headers: { "content-type": "application/json" },
    });
    sending.end("{}");
    const [answer] = await once(sending, "response");
    let text = "";
    for await (const chunk of answer) text += chunk;
    expect(answer.statusCode).toBe(401);
    expect(JSON.parse(text)).toMatchObject({ errorCode: 401002 });
    agent.destroy();
  });

  it("leaves the assignment that it once brought in force", async () => {
    const valid = issue(gateway.directory, `${name}`);
    await enroll(valid);
    gateway.configure(service, { identity: x509Identity(valid.certificateFile, valid.keyFile) });
    const first = await succeed(gateway.run("provision"));
    issue(gateway.directory, name, { days: -1 });
    await refuse(gateway.run("reprovision"), "ERR_CERTIFICATE_EXPIRED");
    expect(publicPart(await usableIn(gateway.run("status")))).toEqual(publicPart(first));
  });
});

describe("on the gateway", () => {
  it("a key of another certificate is noticed", async () => {
    const other = issue(gateway.directory, "other");
    gateway.configure(service, { identity: x509Identity(device.certificateFile, other.keyFile) });
    expect(await isRefused("ERR_KEY_MISMATCH")).toMatchObject({ exitCode: 78 });
  });

  it("a ca_file that TLS cannot use is named", async () => {
    const caFile = gateway.file("ca.pem");
    writeFileSync(caFile, "-----BEGIN CERTIFICATE-----\nbm9ib2R5\n-----END CERTIFICATE-----\n");
    gateway.configure(
      { ...service, caFile },
      {
        identity: x509Identity(device.certificateFile, device.keyFile),
      },
    );
    expect(await isRefused("ERR_CONFIG_INVALID")).toMatchObject({
      message: expect.stringContaining(`ca_file ${caFile} holds a damaged certificate`),
    });
    writeFileSync(caFile, "nobody");
    expect(await isRefused("ERR_CONFIG_INVALID")).toMatchObject({
      message: `[provisioning] ca_file ${caFile} holds no PEM certificate`,
    });
  });

  it("a ca_file on a disk that is mounted later is named, and waited for", async () => {
    const caFile = gateway.file("ca.pem");
    const identity = x509Identity(device.certificateFile, device.keyFile);
    gateway.configure({ ...service, caFile }, { identity });
    expect(await isRefused("ERR_IDENTITY_UNREADABLE")).toMatchObject({
      exitCode: 77,
      retry: "later",
      message: expect.stringContaining(`ca_file ${caFile}`),
    });
    copyFileSync(service.caFile, caFile);
    await succeed(gateway.run("provision"));
  });

  it("a host without an address is named", async () => {
    const config = readFileSync(gateway.configFile, "utf8");
    writeFileSync(gateway.configFile, config.replace('"localhost"', '"no-such-host.invalid"'));
    expect(await isRefused("ERR_DNS")).toMatchObject({
      exitCode: 69,
      message: expect.stringContaining("no-such-host.invalid"),
    });
  });

  it("a service that does not answer in time is left when the deadline is over", async () => {
    await using slow = await startService("--retry-after", "30");
    await slow.enroll(`/enrollments/${name}`, {
      registrationId: name,
      attestation: {
        type: "x509",
        x509: { clientCertificates: { primary: { certificate: device.certificate } } },
      },
    });
    gateway.configure(slow, {
      identity: x509Identity(device.certificateFile, device.keyFile),
      provisioning: 'deadline = "3s"',
    });
    const startedAt = performance.now();
    expect(await isRefused("ERR_DEADLINE")).toMatchObject({ exitCode: 75 });
    expect(performance.now() - startedAt).toBeLessThan(20_000); // the service would have it wait for 30 s
  });
});
