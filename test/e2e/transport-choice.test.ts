// `transport = "auto"` in networks as they are: MQTT where it is open, port 443 where only that is, and HTTPS as the
// last resort; always said aloud.

import { readFileSync, writeFileSync } from "node:fs";
import { connect, createServer, type Server, type Socket } from "node:net";
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from "vitest";
import { createGateway, type Gateway, type ServiceAddress } from "../support/gateway.ts";
import { startHttpProxy } from "../support/http-proxy.ts";
import { type LocalService, startService } from "../support/local-service.ts";
import { refuse, succeed } from "../support/mooring.ts";
import { issue, tpmIdentity, x509Identity } from "../support/pki.ts";
import { scriptedService } from "../support/scripted-service.ts";
import { startSwtpm } from "../support/swtpm.ts";
import { listen, selfSigned } from "../support/tls-server.ts";

let service: LocalService;
let gateway: Gateway;
let identity: string;

beforeAll(async () => {
  service = await startService();
});
afterAll(() => service[Symbol.asyncDispose]());

beforeEach(async () => {
  gateway = createGateway();
  onTestFinished(() => gateway[Symbol.dispose]());
  const { certificate, certificateFile, keyFile } = issue(gateway.directory, "gw");
  identity = x509Identity(certificateFile, keyFile);
  await service.enroll("/enrollments/gw", {
    registrationId: "gw",
    attestation: { type: "x509", x509: { clientCertificates: { primary: { certificate } } } },
  });
});

/** A port on which nobody listens. */
async function closedPort(): Promise<number> {
  const server = createServer();
  const port = await listen(server);
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** A port of the test's own, open until it ends. */
async function portOf(onSocket: (socket: Socket) => void): Promise<number> {
  const sockets = new Set<Socket>();
  const server: Server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    onSocket(socket);
  });
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return listen(server);
}

async function provisions(address: Partial<ServiceAddress>): Promise<{ transport: unknown; stderr: string }> {
  gateway.configure({ ...service, ...address }, { identity });
  const run = await gateway.run("provision");
  expect(run.code, run.stderr).toBe(0);
  return { transport: run.json["transport"], stderr: run.stderr };
}

describe("auto", () => {
  it("takes MQTT without a remark where its port is open", async () => {
    expect(await provisions({})).toEqual({ transport: "mqtt", stderr: "" });
  });

  it("takes MQTT over WebSockets where nobody listens for MQTT, with one warning", async () => {
    const { transport, stderr } = await provisions({ mqttPort: await closedPort() });
    expect(transport).toBe("mqtt-ws");
    expect(stderr).toMatch(/^ +\d+\.\d\d s +mqtt failed \(ERR_CONNECT\), trying mqtt-ws\n$/);
  });

  it("takes MQTT over WebSockets where a firewall lets the connection open and then says nothing", async () => {
    const { transport, stderr } = await provisions({ mqttPort: await portOf(() => {}) });
    expect(transport).toBe("mqtt-ws");
    expect(stderr).toContain("mqtt failed (ERR_CONNECT), trying mqtt-ws");
  });

  it("takes MQTT over WebSockets where a firewall resets the connection", async () => {
    const { transport } = await provisions({ mqttPort: await portOf((socket) => socket.resetAndDestroy()) });
    expect(transport).toBe("mqtt-ws");
  });

  it("takes HTTPS where neither MQTT nor WebSockets get through, with a warning for each", async () => {
    const { transport, stderr } = await provisions({
      mqttPort: await closedPort(),
      mqttWsPort: await closedPort(),
    });
    expect(transport).toBe("https");
    expect(stderr).toContain("mqtt failed (ERR_CONNECT), trying mqtt-ws");
    expect(stderr).toContain("mqtt-ws failed (ERR_CONNECT), trying https");
  });

  it("names what every transport said when none gets through", async () => {
    const port = await closedPort();
    gateway.configure({ ...service, mqttPort: port, httpsPort: port }, { identity });
    const { problems } = await refuse(gateway.run("provision"), "ERR_CONNECT");
    expect(problems).toHaveLength(3);
  });

  it("does not try another transport after a refusal", async () => {
    await service.operator("enrollment", "delete", "gw", "--yes", "--json");
    gateway.configure(service, { identity });
    const own = service.events.length;
    await refuse(gateway.run("provision"), "ERR_NOT_ENROLLED");
    await service.stop();
    await service.restart();
    const refused = service.events.slice(own).filter(({ event }) => event === "device.refused");
    expect(refused).toEqual([expect.objectContaining({ registrationId: "gw", transport: "mqtt" })]);
  });

  it("takes HTTPS for a TPM and says that DPS offers nothing else", async () => {
    await using swtpm = await startSwtpm();
    gateway.configure(service, { identity: tpmIdentity(swtpm.tcti) });
    const { registrationId, endorsementKey } = await succeed(gateway.run("identity show"));
    await service.enroll(`/enrollments/${registrationId}`, {
      registrationId,
      attestation: { type: "tpm", tpm: { endorsementKey } },
    });
    const run = await gateway.run("provision", { args: ["--verbose"] });
    expect(run.json).toMatchObject({ transport: "https", attestation: "tpm" });
    expect(run.stderr).toContain(
      "going over https: DPS offers TPM attestation over HTTPS only, not over MQTT",
    );
  });
});

describe("a proxy", () => {
  /** An HTTP proxy that notes what it is asked to connect to. */
  async function proxy(): Promise<{ port: number; asked: string[] }> {
    const asked: string[] = [];
    const port = await portOf((socket) => {
      socket.once("data", (bytes) => {
        asked.push(bytes.toString("latin1"));
        const [, target = "0"] = /^CONNECT localhost:(\d+) /.exec(asked.at(-1) ?? "") ?? [];
        const onwards = connect(Number(target), "127.0.0.1", () => {
          socket.write("HTTP/1.1 200 Connection established\r\n\r\n");
          socket.pipe(onwards).pipe(socket);
        });
        onwards.on("error", () => socket.destroy());
        socket.once("close", () => onwards.destroy());
      });
    });
    return { port, asked };
  }

  it("of the environment is used, over WebSockets, and not for hosts that need none", async () => {
    const { port, asked } = await proxy();
    const env = { HTTPS_PROXY: `http://127.0.0.1:${port}` };
    gateway.configure(service, { identity });
    const run = await gateway.run("provision", { env });
    expect(run, run.stderr).toMatchObject({ code: 0, stderr: "" });
    expect(run.json).toMatchObject({ transport: "mqtt-ws" });
    expect(asked).toEqual([expect.stringMatching(`^CONNECT localhost:${service.httpsPort} HTTP/1.1\r\n`)]);

    const direct = await gateway.run("reprovision", { env: { ...env, NO_PROXY: "localhost" } });
    expect(direct.json).toMatchObject({ transport: "mqtt" });
    expect(asked).toHaveLength(1);
  });

  it("of the configuration gets its credentials from a file, and nobody else does", async () => {
    const { port, asked } = await proxy();
    writeFileSync(gateway.file("proxy-credentials"), "plant7:s3cr3t-w0rd\n", { mode: 0o600 });
    gateway.keepSecret("s3cr3t-w0rd");
    gateway.configure(service, {
      identity,
      provisioning: `transport = "https"\nproxy = "http://127.0.0.1:${port}"\nproxy_credentials_file = "${gateway.file("proxy-credentials")}"`,
    });
    const run = await gateway.run("provision", { args: ["--verbose"] });
    expect(run.code, run.stderr).toBe(0);
    const credentials = Buffer.from("plant7:s3cr3t-w0rd").toString("base64");
    expect(asked[0]).toMatch(new RegExp(`^proxy-authorization: basic ${credentials}\\r$`, "im"));
  });

  it("that reads along is called what it is, and told nothing", async () => {
    await using eavesdropper = await scriptedService("Plant TLS Inspection");
    await using between = await startHttpProxy({ leadsTo: eavesdropper.httpsPort });
    gateway.configure(service, {
      identity,
      provisioning: `proxy = "http://127.0.0.1:${between.port}"`,
    });
    const error = await refuse(gateway.run("provision"), "ERR_TLS_SERVER");
    expect(error["hint"]).toContain("TLS-intercepting proxy (issuer CN=Plant TLS Inspection)");
    expect(error["serverCertificate"]).toMatchObject({ subject: "CN=Plant TLS Inspection" });
    expect(eavesdropper.requests).toEqual([]);
  });

  it("that wants other credentials is asked once, and named with its answer", async () => {
    await using strict = await startHttpProxy({ credentials: "plant7:right" });
    gateway.keepSecret("wr0ng-w0rd");
    gateway.configure(service, {
      identity,
      provisioning: `proxy = "http://plant7:wr0ng-w0rd@127.0.0.1:${strict.port}"`,
    });
    const error = await refuse(gateway.run("provision"), "ERR_PROXY_AUTHORIZATION");
    expect(error).toMatchObject({ exitCode: 77, message: expect.stringContaining("407") });
    // What more than one transport said.
    expect(error).not.toHaveProperty("problems");
  });

  it("that lets nobody out is named with its answer", async () => {
    await using strict = await startHttpProxy({ refusal: "403 Forbidden" });
    gateway.configure(service, {
      identity,
      provisioning: `transport = "https"\nproxy = "http://127.0.0.1:${strict.port}"`,
    });
    expect((await refuse(gateway.run("provision"), "ERR_PROXY"))["message"]).toContain("403");
  });

  it("that speaks TLS itself is passed when it is trusted", async () => {
    const pair = selfSigned("localhost");
    const both = gateway.file("both.pem");
    writeFileSync(both, readFileSync(service.caFile, "utf8") + pair.certificate);
    await using secure = await startHttpProxy({ tls: pair });
    const use = (caFile: string): void =>
      gateway.configure(
        { ...service, caFile },
        { identity, provisioning: `proxy = "https://localhost:${secure.port}"` },
      );
    use(service.caFile);
    await refuse(gateway.run("provision"), "ERR_PROXY");
    use(both);
    expect(await succeed(gateway.run("provision"))).toMatchObject({ transport: "mqtt-ws" });
    expect(secure.tunnels).toEqual([`localhost:${service.httpsPort}`]);
  });

  it("that is not there is named", async () => {
    const port = await closedPort();
    gateway.configure(service, {
      identity,
      provisioning: `transport = "https"\nproxy = "http://127.0.0.1:${port}"`,
    });
    expect(await refuse(gateway.run("provision"), "ERR_PROXY")).toMatchObject({ exitCode: 69 });
  });
});

describe('source = "auto"', () => {
  it("takes the certificate where there is no TPM, and waits for the TPM when there is neither", async () => {
    const missing = `[identity]\nsource = "auto"\n[identity.tpm]\ntcti = "device:/dev/no-such-tpm"\n`;
    const x509 = identity.slice(identity.indexOf("[identity.x509]"));
    gateway.configure(service, { identity: missing + x509 });
    expect(await succeed(gateway.run("provision"))).toMatchObject({ attestation: "x509" });
    gateway.configure(service, { identity: missing });
    const error = await refuse(gateway.run("reprovision"), "ERR_TPM_UNAVAILABLE");
    expect(error).toMatchObject({ retry: "later", path: "/dev/no-such-tpm" });
  });

  it("takes the TPM where there is one, certificate or not", async () => {
    await using swtpm = await startSwtpm();
    const x509 = identity.slice(identity.indexOf("[identity.x509]"));
    const both = `[identity]\nsource = "auto"\n[identity.tpm]\ntcti = "${swtpm.tcti}"\n${x509}`;
    gateway.configure(service, { identity: both });
    expect(await succeed(gateway.run("identity show"))).toMatchObject({ source: "tpm" });
  });
});
