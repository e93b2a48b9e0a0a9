import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { Agent, request as httpsRequest, type RequestOptions } from "node:https";
import type { Server } from "node:tls";
import type { FastifyPluginAsync } from "fastify";
import { describe, expect, it, onTestFinished } from "vitest";
import type { DeviceApi } from "../../src/service/device-api.ts";
import { createHttpsServer } from "../../src/service/https-server.ts";
import { systemClock } from "../../src/system/clock.ts";
import { silentLog } from "../../src/system/log.ts";
import { type KeyType, makeCertificate, makeKey } from "../support/openssl.ts";
import {
  assigning,
  deviceCertificates,
  directoryOfFile,
  listening,
  recordingDeviceApi,
  serverCredential,
  tlsConnection,
} from "./sockets.ts";

const directory = directoryOfFile();
const credential = serverCredential(directory);
const ca = readFileSync(credential.caFile);

// Literals of the documents (iot-dps-https-sym-key-support.md) and of azure-sdk-for-c's tests.
const registerPath = "/0ne00111111/registrations/my-symkey-device/register?api-version=2021-06-01";
const pollPath =
  "/0ne00111111/registrations/my-symkey-device/operations/5.316aac5bdc130deb.b1e02da8-c3a0-4ff2-a121-7ea7a6b7f550?api-version=2021-06-01";
const token =
  "SharedAccessSignature sr=0ne00111111%2Fregistrations%2Fmy-symkey-device&sig=eNwg52xQdFTNf7bgPAlAJBCIcONivq%2Fck1lf3wtxI4A%3D&se=1663952627&skn=registration";
const guid = /^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$/;

const operatorRoutes: FastifyPluginAsync = async (app) => {
  app.get("/enrollments/:id", async () => ({ operator: true }));
};

async function serveHttps(deviceApi: DeviceApi): Promise<number> {
  const server = await createHttpsServer({
    credential,
    deviceApi,
    operatorApis: [operatorRoutes],
    clock: systemClock,
    log: silentLog,
  });
  onTestFinished(async () => {
    const closed = once(server, "close");
    server.close();
    server.closeAllConnections();
    await closed;
  });
  return listening(server as unknown as Server);
}

interface Answer {
  status: number;
  headers: Record<string, string | string[] | undefined>;
  body: unknown;
}

async function ask(
  port: number,
  method: string,
  path: string,
  options: RequestOptions & { body?: string } = {},
): Promise<Answer> {
  const { body, ...rest } = options;
  const request = httpsRequest({ host: "localhost", port, ca, method, path, agent: false, ...rest });
  request.end(body);
  const [response] = await once(request, "response");
  let text = "";
  for await (const chunk of response) text += chunk;
  return {
    status: response.statusCode,
    headers: response.headers,
    body: text === "" ? undefined : JSON.parse(text),
  };
}

describe("register over HTTPS", () => {
  it("reaches the device API with everything the device said", async () => {
    const { deviceApi, requests } = recordingDeviceApi();
    const port = await serveHttps(deviceApi);
    await ask(port, "PUT", registerPath, {
      headers: { authorization: token, "content-type": "application/json" },
      body: '{"registrationId":"my-symkey-device"}',
    });
    expect(requests).toEqual([
      {
        transport: "https",
        operation: "register",
        idScope: "0ne00111111",
        registrationId: "my-symkey-device",
        apiVersion: "2021-06-01",
        body: Buffer.from('{"registrationId":"my-symkey-device"}'),
        authorization: token,
        certificates: [],
      },
    ]);
  });

  it("is answered 202 with the headers of DPS", async () => {
    const port = await serveHttps(recordingDeviceApi().deviceApi);
    const { status, headers, body } = await ask(port, "PUT", registerPath, { body: "{}" });
    expect(status).toBe(202);
    expect(headers).toMatchObject({
      "content-type": "application/json; charset=utf-8",
      "retry-after": "3",
      location: `https://localhost:${port}/0ne00111111/registrations/my-symkey-device/register`,
      "x-ms-request-id": "a021814f-0cf6-4ce9-a1e9-ead7eb5118d9",
      "strict-transport-security": "max-age=31536000; includeSubDomains",
      date: expect.stringMatching(/GMT$/),
    });
    expect(body).toEqual(assigning.body);
  });

  it("does not make a browser refuse plain HTTP on every port of localhost", async () => {
    const port = await serveHttps(recordingDeviceApi().deviceApi);
    const headers = { "sec-fetch-mode": "navigate" };
    const answer = await ask(port, "PUT", registerPath, { body: "{}", headers });
    expect(answer.headers).not.toHaveProperty("strict-transport-security");
  });

  it("keeps the connection through the pause that it asks for", async () => {
    const port = await serveHttps(recordingDeviceApi().deviceApi);
    const agent = new Agent({ keepAlive: true });
    onTestFinished(() => agent.destroy());
    const { headers } = await ask(port, "PUT", registerPath, { body: "{}", agent });
    expect(headers["keep-alive"]).toBe("timeout=65");
  });

  it("is answered 200 without Retry-After and Location", async () => {
    const port = await serveHttps(
      recordingDeviceApi(() => ({ status: 200, body: { status: "assigned" }, requestId: "r" })).deviceApi,
    );
    const { status, headers, body } = await ask(port, "PUT", registerPath, { body: "{}" });
    expect({ status, body }).toEqual({ status: 200, body: { status: "assigned" } });
    expect(headers).not.toHaveProperty("retry-after");
    expect(headers).not.toHaveProperty("location");
  });

  it.each([
    { what: "no content type", headers: {} },
    { what: "a charset", headers: { "content-type": "application/json; charset=utf-8" } },
    { what: "a strange content type", headers: { "content-type": "text/x-whatever;;" } },
    {
      what: "the documents' Content-Encoding",
      headers: { "content-type": "application/json", "content-encoding": " utf-8" },
    },
    {
      what: "the C SDK's UserAgent",
      headers: { UserAgent: "prov_device_client/1.0", accept: "application/json" },
    },
    { what: "chunks", headers: { "transfer-encoding": "chunked" } },
  ])("takes a body with $what", async ({ headers }) => {
    const { deviceApi, requests } = recordingDeviceApi();
    const port = await serveHttps(deviceApi);
    expect(await ask(port, "PUT", registerPath, { headers, body: "{not json" })).toMatchObject({
      status: 202,
    });
    expect(Buffer.from(requests[0]?.body ?? []).toString()).toBe("{not json");
  });

  it("takes no body at all", async () => {
    const { deviceApi, requests } = recordingDeviceApi();
    const port = await serveHttps(deviceApi);
    for (const headers of [
      {},
      { "content-length": 0 },
      { "content-length": 0, "content-type": "application/json" },
    ]) {
      expect(await ask(port, "PUT", registerPath, { headers })).toMatchObject({ status: 202 });
    }
    expect(requests.map(({ body }) => body.length)).toEqual([0, 0, 0]);
  });

  it.each([
    { path: "/0ne00111111/registrations/a%3Ab%2fc/register?api-version=1", registrationId: "a:b/c" },
    { path: "/0ne00111111/registrations/A%2DB/register?api-version=1", registrationId: "A-B" },
    { path: "/0ne00111111/Registrations/gW/REGISTER?api-version=1", registrationId: "gW" },
    {
      path: "/0ne00111111/registrations/gw/register/?api-version=1&forceRegistration=true",
      registrationId: "gw",
    },
    {
      path: `/0ne00111111/registrations/${"x".repeat(128)}/register?api-version=1`,
      registrationId: "x".repeat(128),
    },
  ])("decodes each segment of $path", async ({ path, registrationId }) => {
    const { deviceApi, requests } = recordingDeviceApi();
    const port = await serveHttps(deviceApi);
    await ask(port, "PUT", path, { body: "{}" });
    expect(requests).toMatchObject([{ idScope: "0ne00111111", registrationId, apiVersion: "1" }]);
  });

  it.each(["", "?api-version=1&api-version=2", "?x=1"])("has no api-version in %j", async (query) => {
    const { deviceApi, requests } = recordingDeviceApi();
    const port = await serveHttps(deviceApi);
    await ask(port, "PUT", registerPath.replace(/\?.*/, query), { body: "{}" });
    expect(requests[0]?.apiVersion).toBeUndefined();
  });

  it("takes a body of exactly 96 KB and refuses a larger one", async () => {
    const { deviceApi, requests } = recordingDeviceApi();
    const port = await serveHttps(deviceApi);
    expect(await ask(port, "PUT", registerPath, { body: "x".repeat(96 * 1024) })).toMatchObject({
      status: 202,
    });
    const refused = await ask(port, "PUT", registerPath, { body: "x".repeat(96 * 1024 + 1) });
    expect(refused).toMatchObject({ status: 413, body: { errorCode: 413000 } });
    expect(requests).toHaveLength(1);
  });
});

describe("the other questions of a device", () => {
  it.each([
    { client: "C", body: undefined },
    { client: "Node", body: "{}" },
  ])("are polls, as the $client SDK sends them", async ({ body }) => {
    const { deviceApi, requests } = recordingDeviceApi();
    const port = await serveHttps(deviceApi);
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    onTestFinished(() => agent.destroy());
    const headers =
      body === undefined ? {} : { "content-length": body.length, "content-type": "application/json" };
    for (let poll = 0; poll < 3; poll++) {
      expect(
        await ask(port, "GET", pollPath, { agent, headers, ...(body === undefined ? {} : { body }) }),
      ).toMatchObject({ status: 202 });
    }
    expect(requests).toHaveLength(3);
    expect(requests[2]).toMatchObject({
      operation: "operation",
      registrationId: "my-symkey-device",
      operationId: "5.316aac5bdc130deb.b1e02da8-c3a0-4ff2-a121-7ea7a6b7f550",
    });
  });

  it("are look-ups", async () => {
    const { deviceApi, requests } = recordingDeviceApi();
    const port = await serveHttps(deviceApi);
    await ask(port, "POST", "/0ne00111111/registrations/gw?api-version=2021-06-01", { body: "{}" });
    expect(requests).toMatchObject([{ operation: "lookup", registrationId: "gw" }]);
  });
});

describe("what is not a question", () => {
  it.each([
    { method: "GET", path: "/", status: 404 },
    { method: "PUT", path: "/0ne00111111/registrations/gw/registers?api-version=1", status: 404 },
    { method: "GET", path: registerPath, status: 405, allow: "PUT" },
    { method: "DELETE", path: pollPath, status: 405, allow: "GET" },
    { method: "PATCH", path: "/0ne00111111/registrations/gw?api-version=1", status: 405, allow: "POST" },
    { method: "PUT", path: "/0ne00111111/registrations/%zz/register?api-version=1", status: 400 },
    {
      method: "PUT",
      path: `/0ne00111111/registrations/${"x".repeat(600)}/register?api-version=1`,
      status: 414,
    },
  ])("is refused in Azure's shape: $method $path, $status", async ({ method, path, status, allow }) => {
    const { deviceApi, requests } = recordingDeviceApi();
    const port = await serveHttps(deviceApi);
    const answer = await ask(port, method, path);
    expect(answer.status).toBe(status);
    expect(answer.body).toEqual({
      errorCode: status * 1000,
      trackingId: expect.stringMatching(guid),
      message: expect.any(String),
      timestampUtc: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{7}Z$/),
    });
    expect(answer.headers).toMatchObject({
      "x-ms-request-id": (answer.body as { trackingId: string }).trackingId,
      "content-type": "application/json; charset=utf-8",
      ...(allow === undefined ? {} : { allow }),
    });
    expect(requests).toEqual([]);
  });

  it("includes a service that fails, and says nothing of why", async () => {
    const port = await serveHttps(
      recordingDeviceApi(() => Promise.reject(new Error("disk on fire"))).deviceApi,
    );
    const answer = await ask(port, "PUT", registerPath, { body: "{}" });
    expect(answer).toMatchObject({ status: 500, body: { errorCode: 500000 } });
    expect(JSON.stringify(answer.body)).not.toContain("disk on fire");
  });

  it("is left to the operators' routes on the same port", async () => {
    const port = await serveHttps(recordingDeviceApi().deviceApi);
    expect(await ask(port, "GET", "/ENROLLMENTS/x")).toMatchObject({ status: 200, body: { operator: true } });
  });

  it("is closed when it is not even HTTP", async () => {
    const port = await serveHttps(recordingDeviceApi().deviceApi);
    const socket = await tlsConnection(port, credential.caFile);
    socket.end("\x10\x10\x00\x04MQTT\r\n\r\n");
    const [text] = await once(socket, "data");
    expect(String(text)).toMatch(/^HTTP\/1\.1 400 /);
    await once(socket, "close");
  });
});

describe("TLS", () => {
  it("carries the client's chain to every request of a connection, leaf first, and asks again on the next", async () => {
    const { deviceApi, requests } = recordingDeviceApi();
    const port = await serveHttps(deviceApi);
    const { chain, key, parts } = deviceCertificates(directory, "my-x509-device");
    const ders = parts.map((pem) => Buffer.from(pem.replace(/-----[^-]+-----|\s/g, ""), "base64"));
    for (let connection = 0; connection < 2; connection++) {
      const agent = new Agent({ keepAlive: true, maxSockets: 1 });
      for (let request = 0; request < 2; request++)
        await ask(port, "PUT", registerPath, { agent, cert: chain, key });
      agent.destroy();
    }
    expect(requests.map(({ certificates }) => certificates)).toEqual([ders, ders, ders, ders]);
  });

  it("survives certificates of every curve, as leaf and beside it", async () => {
    const { deviceApi, requests } = recordingDeviceApi();
    const port = await serveHttps(deviceApi);
    const make = (kind: KeyType, name: string): { cert: string; key: string } => {
      const key = makeKey(directory, `${name}.key`, kind);
      const certificate = makeCertificate(directory, `${name}.pem`, { key, subject: "/CN=odd" });
      return { cert: readFileSync(certificate, "utf8"), key: readFileSync(key, "utf8") };
    };
    const [odd, brainpool, leaf] = [
      make("EC secp256k1", "odd"),
      make("EC brainpoolP256r1", "brainpool"),
      make("EC P-256", "leaf"),
    ];
    await ask(port, "PUT", registerPath, { ...brainpool });
    await ask(port, "PUT", registerPath, { cert: leaf.cert + odd.cert + brainpool.cert, key: leaf.key });
    expect(requests.map(({ certificates }) => certificates.length)).toEqual([1, 3]);
  });

  it("takes a client certificate of anybody's; judging it is not TLS's business", async () => {
    const { deviceApi, requests } = recordingDeviceApi();
    const port = await serveHttps(deviceApi);
    const { parts, key } = deviceCertificates(directory, "stranger");
    await ask(port, "PUT", registerPath, { cert: parts[0], key });
    expect(requests[0]?.certificates).toHaveLength(1);
  });

  it.each(["-tls1_2", "-tls1_3"])(
    "asks OpenSSL's client for a certificate, names no issuers, and resumes no session (%s)",
    async (version) => {
      const port = await serveHttps(recordingDeviceApi().deviceApi);
      const session = `${directory}/session${version}`;
      const shake = async (...options: string[]): Promise<string> => {
        const client = spawn("openssl", [
          "s_client",
          "-connect",
          `localhost:${port}`,
          "-CAfile",
          credential.caFile,
          "-verify_return_error",
          "-verify_hostname",
          "localhost",
          version,
          ...options,
        ]);
        let said = "";
        client.stdout.on("data", (text) => {
          said += text;
        });
        client.stdin.end("GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        await once(client, "close");
        return said;
      };
      const first = await shake("-ign_eof", "-sess_out", session);
      expect(first).toContain("Verify return code: 0 (ok)");
      expect(first).toContain("No client certificate CA names sent");
      expect(first).toMatch(/Requested Signature Algorithms/);
      expect(first).toContain("HTTP/1.1 404");
      const second = await shake("-ign_eof", "-sess_in", session);
      expect(second).toMatch(/^New, TLS/m);
      expect(second).not.toMatch(/^Reused, TLS/m);
    },
  );

  it("does not speak TLS 1.1", async () => {
    const port = await serveHttps(recordingDeviceApi().deviceApi);
    const old = { maxVersion: "TLSv1.1", minVersion: "TLSv1.1", ciphers: "DEFAULT:@SECLEVEL=0" } as const;
    await expect(tlsConnection(port, credential.caFile, old)).rejects.toThrow(/protocol version|ECONNRESET/i);
  });
});
