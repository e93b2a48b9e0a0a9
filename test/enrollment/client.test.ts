import { readFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { type AddressInfo, createServer as createTcpServer } from "node:net";
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from "vitest";
import { openServiceClient, type ServiceClient } from "../../src/enrollment/client.ts";
import { parseConnectionString } from "../../src/enrollment/connection-string.ts";
import type { RunningService } from "../../src/service/service.ts";
import { systemClock } from "../../src/system/clock.ts";
import { directoryOfFile } from "../service/sockets.ts";
import { startHttpProxy } from "../support/http-proxy.ts";
import { startServiceHere } from "../support/service-in-process.ts";
import { thrownBy } from "../support/thrown.ts";
import { selfSigned } from "../support/tls-server.ts";

const directory = directoryOfFile();
let service: RunningService;

beforeAll(async () => {
  service = await startServiceHere(directory);
});
afterAll(() => service.stop());

const waiting = { signal: new AbortController().signal };
const symmetric = { attestation: { type: "symmetricKey" } } as const;

function open(
  change: (connectionString: string) => string = (same) => same,
  ca: string | undefined = readFileSync(service.caFile, "utf8"),
  proxy?: string,
): ServiceClient {
  const connection = parseConnectionString(change(service.connectionString));
  const client = openServiceClient({ connection, ca, proxy, clock: systemClock });
  onTestFinished(() => client.close());
  return client;
}

const toPort = (port: number) => (text: string) =>
  text.replace(/HostName=[^;]+/, `HostName=127.0.0.1:${port}`);

describe("the client of the service API", () => {
  it("creates, reads, changes and deletes an enrollment", async () => {
    const { enrollments } = open();
    const created = await enrollments.put("gw-1", { registrationId: "gw-1", ...symmetric }, waiting);
    expect(created).toMatchObject({ registrationId: "gw-1", provisioningStatus: "enabled" });
    const disabled = { ...created, provisioningStatus: "disabled" } as const;
    const changed = await enrollments.put("gw-1", disabled, { ...waiting, ifMatch: created.etag });
    expect(await enrollments.get("gw-1", waiting)).toMatchObject({
      provisioningStatus: "disabled",
      etag: changed.etag,
    });
    expect(await enrollments.attestation("gw-1", waiting)).toMatchObject({
      symmetricKey: { primaryKey: expect.any(String) },
    });
    await enrollments.delete("gw-1", { ...waiting, ifMatch: changed.etag });
    expect((await thrownBy(() => enrollments.get("gw-1", waiting))).code).toBe("ERR_ENROLLMENT_NOT_FOUND");
  });

  it("creates what is not there yet, and only one of two who want the same name", async () => {
    const { enrollments } = open();
    const row = { registrationId: "gw-once", ...symmetric };
    const outcomes = await Promise.allSettled([1, 2].map(() => enrollments.create(row, waiting)));
    const refused = outcomes.flatMap((each) => (each.status === "rejected" ? [each.reason] : []));
    expect(refused).toMatchObject([
      {
        code: "ERR_ENROLLMENT_CONFLICT",
        details: { serviceErrorCode: 409000, trackingId: expect.stringMatching(/^[0-9a-f-]{36}$/) },
      },
    ]);
    const wrong = { ...row, registrationId: "no good" };
    expect(await thrownBy(() => enrollments.create(wrong, waiting))).toMatchObject({
      code: "ERR_ENROLLMENT_REFUSED",
      details: { serviceErrorCode: 400000, serviceMessage: expect.stringContaining("registrationId: ") },
    });
    await enrollments.delete("gw-once", waiting);
  });

  it("goes through a proxy, whose refusal is told as one, and trusts nobody else for that", async () => {
    await using proxy = await startHttpProxy({ credentials: "user:pa ss" });
    const through = (credentials: string, ca?: string): ServiceClient["enrollments"] =>
      open((same) => same, ca, `http://${credentials}@127.0.0.1:${proxy.port}`).enrollments;
    const enrollments = through("user:pa%20ss");
    await enrollments.put("gw-far", { registrationId: "gw-far", ...symmetric }, waiting);
    await enrollments.delete("gw-far", waiting);
    const { host, port } = parseConnectionString(service.connectionString);
    expect(proxy.tunnels).toEqual([`${host}:${port}`]);

    const refused = await thrownBy(() => through("user:hunter2").get("gw-far", waiting));
    expect(refused.code).toBe("ERR_PROXY_AUTHORIZATION");
    expect(refused.hint).toContain("HTTPS_PROXY");
    expect(refused.hint).not.toContain("[provisioning]");
    expect(`${refused.message} ${refused.hint}`).not.toContain("hunter2");
    const stranger = selfSigned("stranger").certificate;
    const untrusted = await thrownBy(() => through("user:pa%20ss", stranger).get("gw-far", waiting));
    expect(untrusted.code).toBe("ERR_TLS_SERVER");
  });

  it("waits for no proxy when it is stopped", async () => {
    const silent = createTcpServer(() => {}).listen(0, "127.0.0.1");
    onTestFinished(() => void silent.close());
    await new Promise((resolve) => silent.once("listening", resolve));
    const { port } = silent.address() as AddressInfo;
    const client = open((same) => same, undefined, `http://127.0.0.1:${port}`);
    const stop = new AbortController();
    const asked = client.enrollments.get("x", { signal: stop.signal });
    silent.once("connection", () => stop.abort(new Error("enough")));
    await expect(asked).rejects.toThrow("enough");
    client.close();
    await new Promise((resolve) => silent.close(resolve)); // nobody holds a line to it any more
  });

  it("does the same with groups, whatever their names are made of", async () => {
    const { enrollmentGroups } = open();
    const id = "plant:1.a_b";
    await enrollmentGroups.put(id, { enrollmentGroupId: id, ...symmetric }, waiting);
    expect((await enrollmentGroups.get(id, waiting)).enrollmentGroupId).toBe(id);
    await enrollmentGroups.delete(id, waiting);
  });

  it("lists all enrollments, over several pages", async () => {
    const { enrollments } = open();
    const ids = Array.from({ length: 230 }, (_, n) => `gw-${String(n).padStart(3, "0")}`);
    for (const id of ids) await enrollments.put(id, { registrationId: id, ...symmetric }, waiting);
    const listed: string[] = [];
    for await (const { registrationId } of enrollments.list(waiting)) listed.push(registrationId);
    expect(listed).toEqual(ids);
  });
});

describe("a failure is told in the words of the error table", () => {
  it("when somebody changed the enrollment meanwhile", async () => {
    const { enrollments } = open();
    const row = { registrationId: "gw-x", ...symmetric };
    const { etag } = await enrollments.put("gw-x", row, waiting);
    await enrollments.put("gw-x", row, waiting);
    const error = await thrownBy(() => enrollments.put("gw-x", row, { ...waiting, ifMatch: etag }));
    expect(error.code).toBe("ERR_ENROLLMENT_CONFLICT");
    expect(error.details).toMatchObject({
      status: 412,
      serviceErrorCode: 412000,
      trackingId: expect.any(String),
    });
  });

  it("when the service refuses what is sent, with what it says", async () => {
    const { enrollments } = open();
    const error = await thrownBy(() =>
      enrollments.put("gw-y", { registrationId: "gw-z", ...symmetric }, waiting),
    );
    expect(error.code).toBe("ERR_ENROLLMENT_REFUSED");
    expect(error.message).toContain("registrationId: the body names another");
  });

  it("when the key is wrong", async () => {
    const error = await thrownBy(() =>
      open((text) => text.replace(/Key=.*/, "Key=AAAA")).enrollments.get("x", waiting),
    );
    expect(error).toMatchObject({
      code: "ERR_UNAUTHORIZED",
      hint: expect.stringContaining("connection string"),
    });
  });

  it("when nobody listens", async () => {
    const probe = createTcpServer().listen(0, "127.0.0.1");
    await new Promise((resolve) => probe.once("listening", resolve));
    const { port } = probe.address() as AddressInfo;
    await new Promise((resolve) => probe.close(resolve));
    expect((await thrownBy(() => open(toPort(port)).enrollments.get("x", waiting))).code).toBe("ERR_CONNECT");
  });

  it("when the CA is not trusted", async () => {
    const error = await thrownBy(() => open(undefined, "").enrollments.get("x", waiting));
    expect(error).toMatchObject({ code: "ERR_TLS_SERVER", hint: expect.stringContaining("--ca-file") });
  });

  it("when the CA is not trusted, whatever the environment allows others", async () => {
    vi.stubEnv("NODE_TLS_REJECT_UNAUTHORIZED", "0");
    onTestFinished(() => void vi.unstubAllEnvs());
    expect((await thrownBy(() => open(undefined, "").enrollments.get("x", waiting))).code).toBe(
      "ERR_TLS_SERVER",
    );
  });

  it("when the other side does not speak TLS", async () => {
    const server: Server = createServer((_, answer) => answer.end("hello")).listen(0, "127.0.0.1");
    onTestFinished(() => void server.close());
    await new Promise((resolve) => server.once("listening", resolve));
    const { port } = server.address() as AddressInfo;
    expect((await thrownBy(() => open(toPort(port)).enrollments.get("x", waiting))).code).toBe(
      "ERR_TLS_SERVER",
    );
  });

  it("when the line breaks", async () => {
    const server = createTcpServer((socket) => socket.once("data", () => socket.destroy())).listen(
      0,
      "127.0.0.1",
    );
    onTestFinished(() => void server.close());
    await new Promise((resolve) => server.once("listening", resolve));
    const { port } = server.address() as AddressInfo;
    const error = await thrownBy(() => open(toPort(port)).enrollments.get("x", waiting));
    expect(error.code).toBe("ERR_CONNECTION_LOST");
  });

  it("when it is stopped", async () => {
    const stop = new AbortController();
    stop.abort(new Error("enough"));
    await expect(open().enrollments.get("x", { signal: stop.signal })).rejects.toThrow("enough");
  });
});
