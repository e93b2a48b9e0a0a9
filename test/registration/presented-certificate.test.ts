// What is said about a server that is not trusted, from real handshakes with certificates by openssl.

import { createServer } from "node:https";
import { beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { causeText, type MooringError } from "../../src/errors.ts";
import { openHttps } from "../../src/registration/https.ts";
import { hintFor } from "../../src/registration/presented-certificate.ts";
import type { Endpoint } from "../../src/registration/transport.ts";
import { startHttpProxy } from "../support/http-proxy.ts";
import { thrownBy } from "../support/thrown.ts";
import { type KeyPair, listen, selfSigned } from "../support/tls-server.ts";

let ours: KeyPair;
beforeAll(() => {
  ours = selfSigned("localhost");
});

/** Requests that arrived: none may. */
let asked = 0;

async function serve({ certificate, privateKey }: KeyPair): Promise<number> {
  asked = 0;
  const server = createServer({ cert: certificate, key: privateKey }, (_, response) => {
    asked++;
    response.end("{}");
  });
  onTestFinished(() => void server.close());
  return listen(server);
}

async function distrust(port: number, more: Partial<Endpoint> = {}): Promise<MooringError> {
  const endpoint = { host: "localhost", port, idScope: "0ne1", registrationId: "dev", ...more };
  const transport = openHttps({ ca: ours.certificate, ...endpoint }, { userAgent: "test/1" });
  onTestFinished(() => transport.close());
  const signal = AbortSignal.timeout(10_000);
  const error = await thrownBy(() => transport.send({ kind: "register", body: {} }, { signal }));
  expect(error.code).toBe("ERR_TLS_SERVER");
  expect(asked).toBe(0);
  return error;
}

describe("a server", () => {
  it("of an unknown CA is shown with subject and issuer, and the key that would trust it", async () => {
    const error = await distrust(await serve(selfSigned("gateway.plant")));
    expect(error.message).toContain(
      "it shows a certificate of CN=gateway.plant, issued by itself, valid from 20",
    );
    expect(error.details.serverCertificate).toMatchObject({ issuer: "CN=gateway.plant" });
    expect(error.hint).toMatch(/ca_file .*CN=gateway\.plant/);
    // Node.js has advice of its own, on how to start it.
    expect(causeText(error)).not.toMatch(/node|--use-system-ca/i);
  });

  it("of another name is shown with the names that it has", async () => {
    const elsewhere = selfSigned("elsewhere.example", { san: "DNS:elsewhere.example" });
    const error = await distrust(await serve(elsewhere), { ca: elsewhere.certificate });
    expect(error.message).toContain("of CN=elsewhere.example");
    expect(error.hint).toMatch(/DNS:elsewhere\.example.*endpoint/);
  });

  it.each([
    ["is over", "-10d"],
    ["has not come", "+10d"],
  ])("whose time %s is shown with its dates, and the clock in doubt", async (_what, madeAt) => {
    const pair = selfSigned("localhost", { madeAt });
    const error = await distrust(await serve(pair), { ca: pair.certificate });
    expect(error.message).toMatch(/valid from \d{4}-\d\d-\d\dT\S+ to \d{4}-\d\d-\d\dT/);
    expect(error.hint).toContain("timedatectl");
  });

  it("is not let speak to the terminal through its certificate", async () => {
    const error = await distrust(await serve(selfSigned("evil\u001b[2J\u0007")));
    expect(error.message).not.toMatch(/\p{Cc}/u);
  });
});

describe("an intercepting proxy", () => {
  const azure = "global.azure-devices-provisioning.net";

  it("is suspected when what comes through a proxy is of an unknown CA", async () => {
    const inspection = selfSigned("Plant TLS Inspection", { san: `DNS:${azure}` });
    const proxy = await startHttpProxy({ leadsTo: await serve(inspection) });
    onTestFinished(() => proxy.close());
    const error = await distrust(443, { host: azure, proxy: `http://127.0.0.1:${proxy.port}` });
    expect(error.hint).toContain("TLS-intercepting proxy (issuer CN=Plant TLS Inspection)");
    expect(proxy.tunnels[0]).toBe(`${azure}:443`);
  });

  const unknownIssuer = Object.assign(new Error(), { code: "SELF_SIGNED_CERT_IN_CHAIN" });
  const hint = (host: string, issuer: string, hasProxy = false): string | undefined =>
    hintFor({ cause: unknownIssuer, presented: { issuer, names: "" }, host, hasProxy });

  it("is suspected without one configured where Azure's own endpoint has an unexpected issuer", () => {
    expect(hint(azure, "O=Zscaler Inc., CN=Zscaler Root CA")).toContain("TLS-intercepting proxy");
    expect(hint(azure, "O=Microsoft Corporation of Nowhere")).toContain("TLS-intercepting proxy");
  });

  it("is not suspected of the issuers that Azure has: then this system's store is empty", () => {
    for (const issuer of ["C=US, O=Microsoft Corporation, CN=Microsoft Azure RSA TLS", "O=DigiCert Inc"])
      expect(hint(azure, issuer, true)).toContain("ca-certificates");
  });

  it("is not suspected of a lab's own service", () => {
    expect(hint("dps.lab", "CN=Lab CA")).toContain("ca_file");
  });
});
