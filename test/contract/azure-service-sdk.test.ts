// The service API against Azure's own SDK for Node, every call that it has. The SDK is one of the bench's peers and no
// dependency of ours, so this runs where it was installed: `npm ci --ignore-scripts` in test/bench/peers.

import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { Agent } from "node:https";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { RunningService } from "../../src/service/service.ts";
import { softTpm } from "../service/soft-tpm.ts";
import { issue } from "../support/pki.ts";
import { startServiceHere } from "../support/service-in-process.ts";

const peers = join(import.meta.dirname, "../bench/peers");
const isInstalled = existsSync(join(peers, "node_modules/azure-iot-provisioning-service"));

// biome-ignore lint/suspicious/noExplicitAny: the SDK's own types are not installed
type Any = any;

let directory: string;
let service: RunningService;
let agent: Agent;
let client: Any;

/** The SDK knows port 443 alone. */
class AgentForPort extends Agent {
  override createConnection(options: object, callback: Any): Any {
    return super.createConnection({ ...options, port: service.httpsPort } as Any, callback);
  }
}

const clientWith = (connectionString: string): Any => {
  const require = createRequire(join(peers, "package.json"));
  const { ProvisioningServiceClient } = require("azure-iot-provisioning-service");
  const made = ProvisioningServiceClient.fromConnectionString(connectionString);
  made._restApiClient.setOptions({ http: { agent } });
  return made;
};

beforeAll(async () => {
  if (!isInstalled) return;
  directory = mkdtempSync(join(tmpdir(), "mooring-contract-"));
  service = await startServiceHere(join(directory, "data"), { hubs: ["hub.example"], retryAfterSeconds: 0 });
  agent = new AgentForPort({ ca: readFileSync(service.caFile), keepAlive: true });
  client = clientWith(service.connectionString.replace(/:\d+;/, ";"));
});
afterAll(async () => {
  if (!isInstalled) return;
  agent.destroy();
  await service.stop();
  rmSync(directory, { recursive: true });
});

const { endorsementKey } = softTpm();
const tpm = { type: "tpm", tpm: { endorsementKey } };
const enrollment = (registrationId: string, more: object = {}): Any => ({
  ...{ registrationId, attestation: tpm, provisioningStatus: "enabled", capabilities: { iotEdge: true } },
  ...more,
});

/** What the SDK throws for a call that the service refused. */
async function refused(call: Promise<unknown>): Promise<Any> {
  try {
    await call;
  } catch (error) {
    return error;
  }
  return expect.fail("the call was not refused");
}

describe.skipIf(!isInstalled)("azure-iot-provisioning-service", () => {
  it("creates, reads, updates and deletes an individual enrollment", async () => {
    const created = (await client.createOrUpdateIndividualEnrollment(enrollment("sdk-1"))).responseBody;
    expect(created).toMatchObject({ registrationId: "sdk-1", capabilities: { iotEdge: true } });
    expect((await client.getIndividualEnrollment("sdk-1")).responseBody).toEqual(created);
    created.provisioningStatus = "disabled";
    created.iotHubHostName = "hub.example";
    created.initialTwin = { tags: { a: 1 }, properties: { desired: { b: 2 } } };
    const updated = (await client.createOrUpdateIndividualEnrollment(created)).responseBody;
    expect(updated).toMatchObject({
      ...created,
      etag: expect.any(String),
      lastUpdatedDateTimeUtc: expect.any(String),
    });
    expect(updated.etag).not.toBe(created.etag);
    await client.deleteIndividualEnrollment("sdk-1");
    expect((await refused(client.getIndividualEnrollment("sdk-1"))).message).toBe("Not found");
  });

  it("is told of a stale etag, at an update and at a deletion in each of its forms", async () => {
    const seen = (await client.createOrUpdateIndividualEnrollment(enrollment("sdk-2"))).responseBody;
    const { responseBody: present } = await client.createOrUpdateIndividualEnrollment({
      ...seen,
      deviceId: "x",
    });
    for (const call of [
      () => client.createOrUpdateIndividualEnrollment({ ...seen, deviceId: "y" }),
      () => client.deleteIndividualEnrollment(seen),
      () => client.deleteIndividualEnrollment("sdk-2", seen.etag),
    ]) {
      expect(await refused(call())).toMatchObject({ name: "InvalidEtagError" });
    }
    await client.deleteIndividualEnrollment("sdk-2", present.etag);
    const gone = await refused(client.deleteIndividualEnrollment("sdk-2"));
    expect(gone.response.statusCode).toBe(404);
  });

  it("calls back as well as it promises", async () => {
    const { promise, resolve, reject } = Promise.withResolvers<Any>();
    client.createOrUpdateIndividualEnrollment(
      enrollment("sdk-3"),
      (error: unknown, row: Any, response: Any) =>
        error ? reject(error) : resolve({ row, status: response.statusCode }),
    );
    const { row, status } = await promise;
    expect(status).toBe(200);
    await new Promise<void>((done, failed) =>
      client.deleteIndividualEnrollment(row, (error?: unknown) => (error ? failed(error) : done())),
    );
  });

  it("keeps an enrollment group of a CA, and one of symmetric keys", async () => {
    const { certificate } = issue(directory, "sdk-ca", { isCa: true });
    const x509 = { signingCertificates: { primary: { certificate } } };
    const groups = [
      { enrollmentGroupId: "sdk-ca", attestation: { type: "x509", x509 } },
      { enrollmentGroupId: "sdk-keys", attestation: { type: "symmetricKey" } },
    ];
    for (const group of groups) {
      const created = (await client.createOrUpdateEnrollmentGroup(group)).responseBody;
      const read = (await client.getEnrollmentGroup(group.enrollmentGroupId)).responseBody;
      expect(read.etag).toBe(created.etag);
      const updated = await client.createOrUpdateEnrollmentGroup({ ...read, provisioningStatus: "disabled" });
      expect(updated.responseBody.provisioningStatus).toBe("disabled");
      expect(await refused(client.createOrUpdateEnrollmentGroup(read))).toMatchObject({
        name: "InvalidEtagError",
      });
      await client.deleteEnrollmentGroup(updated.responseBody);
    }
    const withTpm = client.createOrUpdateEnrollmentGroup({ enrollmentGroupId: "sdk-tpm", attestation: tpm });
    expect(await refused(withTpm)).toMatchObject({ name: "ArgumentError" });
  });

  it("reads the attestation mechanism, with the keys that a GET does not show", async () => {
    const attestation = { type: "symmetricKey" };
    await client.createOrUpdateIndividualEnrollment({ registrationId: "sdk-4", attestation });
    await client.createOrUpdateEnrollmentGroup({ enrollmentGroupId: "sdk-4", attestation });
    for (const call of [
      client.getIndividualEnrollmentAttestationMechanism("sdk-4"),
      client.getEnrollmentGroupAttestationMechanism("sdk-4"),
    ]) {
      const { responseBody } = await call;
      expect(responseBody).toMatchObject({
        type: "symmetricKey",
        symmetricKey: { primaryKey: expect.stringMatching(/^.{86}==$/), secondaryKey: expect.any(String) },
      });
    }
    await client.deleteIndividualEnrollment("sdk-4");
    await client.deleteEnrollmentGroup("sdk-4");
  });

  it("queries page by page, until there is no more", async () => {
    const ids = Array.from({ length: 7 }, (_, n) => `sdk-page-${n}`);
    for (const id of ids) {
      await client.createOrUpdateIndividualEnrollment(enrollment(id));
      await client.createOrUpdateEnrollmentGroup({
        enrollmentGroupId: id,
        attestation: { type: "symmetricKey" },
      });
    }
    const queries: [Any, string][] = [
      [client.createIndividualEnrollmentQuery({ query: "SELECT * FROM enrollments" }, 3), "registrationId"],
      [client.createEnrollmentGroupQuery({ query: "*" }, 3), "enrollmentGroupId"],
    ];
    for (const [query, idOf] of queries) {
      const pages: string[][] = [];
      while (query.hasMoreResults) {
        const { responseBody: result } = await query.next(query.continuationToken ?? undefined);
        pages.push(result.map((row: Any) => row[idOf]));
      }
      expect(pages).toEqual([ids.slice(0, 3), ids.slice(3, 6), ids.slice(6)]);
    }
    const wrong = client.createIndividualEnrollmentQuery({ query: "SELECT nothing" }).next();
    expect(await refused(wrong)).toMatchObject({ name: "ArgumentError" });
    for (const id of ids) {
      await client.deleteIndividualEnrollment(id);
      await client.deleteEnrollmentGroup(id);
    }
  });

  it("runs bulk operations in every mode, and hears of each item that failed", async () => {
    const enrollments = ["sdk-bulk-1", "sdk-bulk-2"].map((id) => enrollment(id));
    // Without a callback it never comes back.
    const run = (mode: string, items: unknown[]): Promise<Any> =>
      new Promise((resolve, reject) => {
        client.runBulkEnrollmentOperation({ mode, enrollments: items }, (error: unknown, result: Any) =>
          error ? reject(error) : resolve(result),
        );
      });
    expect(await run("create", enrollments)).toEqual({ isSuccessful: true, errors: [] });
    expect(await run("create", [...enrollments, enrollment("sdk-bulk-3")])).toMatchObject({
      isSuccessful: false,
      errors: [{ registrationId: "sdk-bulk-1", errorCode: 409000 }, { registrationId: "sdk-bulk-2" }],
    });
    expect(await run("update", enrollments)).toMatchObject({ isSuccessful: true });
    expect(await run("updateIfMatchETag", [enrollment("sdk-bulk-1", { etag: '"old"' })])).toMatchObject({
      isSuccessful: false,
      errors: [{ registrationId: "sdk-bulk-1", errorCode: 412000, errorStatus: expect.any(String) }],
    });
    const read = (await client.getIndividualEnrollment("sdk-bulk-1")).responseBody;
    expect(await run("updateIfMatchETag", [read])).toMatchObject({ isSuccessful: true });
    expect(await run("delete", [...enrollments, enrollment("sdk-bulk-3")])).toMatchObject({
      isSuccessful: true,
    });
    const eleven = Array.from({ length: 11 }, (_, n) => enrollment(`sdk-many-${n}`));
    expect(await refused(run("create", eleven))).toMatchObject({ name: "ArgumentError" });
  });

  it("reads, queries and deletes the registrations of devices", async () => {
    const id = "sdk-device";
    const { responseBody: group } = await client.createOrUpdateEnrollmentGroup({
      ...{ enrollmentGroupId: "sdk-group", attestation: { type: "symmetricKey" } },
    });
    await registerThrough(group.attestation.symmetricKey.primaryKey, id);
    const { responseBody: state } = await client.getDeviceRegistrationState(id);
    expect(state).toMatchObject({
      registrationId: id,
      status: "assigned",
      assignedHub: "hub.example",
      deviceId: id,
    });
    const query = client.createEnrollmentGroupDeviceRegistrationStateQuery({ query: "*" }, "sdk-group", 10);
    expect((await query.next()).responseBody).toEqual([state]);
    expect(query.hasMoreResults).toBe(false);
    expect(await refused(client.deleteDeviceRegistrationState(id, "stale"))).toMatchObject({
      name: "InvalidEtagError",
    });
    await client.deleteDeviceRegistrationState(state);
    expect((await refused(client.getDeviceRegistrationState(id))).response.statusCode).toBe(404);
    await client.deleteEnrollmentGroup("sdk-group");
  });

  it("escapes ids as it does, and finds them again", async () => {
    const id = "sdk:1_a.B-2";
    const { responseBody } = await client.createOrUpdateIndividualEnrollment(enrollment(id));
    expect(responseBody.registrationId).toBe(id);
    expect((await client.getIndividualEnrollment(id.toUpperCase())).responseBody.registrationId).toBe(id);
    await client.deleteIndividualEnrollment(responseBody);
  });

  it("is told who it is not", async () => {
    const [, host = "", name = ""] =
      /^HostName=([^;:]+)[^;]*;SharedAccessKeyName=([^;]+)/.exec(service.connectionString) ?? [];
    const stranger = clientWith(`HostName=${host};SharedAccessKeyName=${name};SharedAccessKey=AAAA`);
    expect(await refused(stranger.getIndividualEnrollment("x"))).toMatchObject({ name: "UnauthorizedError" });
  });
});

/** Registers a device with the key that it derives from its group's. */
async function registerThrough(groupKey: string, registrationId: string): Promise<void> {
  const { createHmac } = await import("node:crypto");
  const hmac = (key: Buffer, text: string): Buffer => createHmac("sha256", key).update(text).digest();
  const path = `${service.idScope}/registrations/${registrationId}`;
  const [sr, se] = [encodeURIComponent(path), Math.floor(Date.now() / 1000) + 600];
  const deviceKey = hmac(Buffer.from(groupKey, "base64"), registrationId);
  const sig = encodeURIComponent(hmac(deviceKey, `${sr}\n${se}`).toString("base64"));
  const { request } = await import("node:https");
  const status = await new Promise<number | undefined>((resolve, reject) => {
    const headers = { authorization: `SharedAccessSignature sr=${sr}&sig=${sig}&se=${se}&skn=registration` };
    request(
      `https://localhost/${path}/register?api-version=2021-06-01`,
      { agent, method: "PUT", headers },
      (answer) => {
        answer.resume();
        resolve(answer.statusCode);
      },
    )
      .on("error", reject)
      .end();
  });
  expect(status).toBe(200);
}
