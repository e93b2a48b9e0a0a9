import { X509Certificate } from "node:crypto";
import { readFileSync, renameSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, describe, expect, it, onTestFinished } from "vitest";
import { openAuthority } from "../../src/service/authority.ts";
import { addressBytes } from "../../src/service/certificate.ts";
import { systemClock } from "../../src/system/clock.ts";
import { openssl } from "../support/openssl.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

const dayMs = 24 * 60 * 60 * 1000;
let directory: string;

beforeEach(() => {
  directory = temporaryDirectory();
});

const open = (hostnames: readonly string[] = [], now = Date.now()) =>
  openAuthority(directory, { hostnames, clock: { ...systemClock, now: () => now } });
const file = (name: string): string => join(directory, name);
const modeOf = (name: string): number => statSync(file(name)).mode & 0o777;

describe("a new authority", () => {
  it("passes OpenSSL's strict path validation for every name, and for no other", () => {
    open(["dps.plant.example", "192.0.2.7", "2001:db8::7", "*.gw.example"]);
    const verify = (...options: string[]): string =>
      openssl(
        "verify",
        "-x509_strict",
        "-purpose",
        "sslserver",
        "-CAfile",
        file("ca.pem"),
        ...options,
        file("server.pem"),
      );
    for (const name of ["localhost", "dps.plant.example", "a.gw.example"]) {
      expect(verify("-verify_hostname", name)).toContain("OK");
    }
    for (const address of ["127.0.0.1", "::1", "192.0.2.7", "2001:db8::7"]) {
      expect(verify("-verify_ip", address)).toContain("OK");
    }
    expect(() => verify("-verify_hostname", "other.example")).toThrow(/hostname mismatch/i);
    expect(() => verify("-verify_ip", "192.0.2.8")).toThrow(/IP address mismatch/i);
  });

  it("is written as X.509 version 3 with the extensions that RFC 5280 asks for", () => {
    open();
    const ca = openssl("x509", "-noout", "-text", "-in", file("ca.pem"));
    expect(ca).toContain("Version: 3");
    expect(ca).toMatch(/Basic Constraints: critical\s+CA:TRUE, pathlen:0/);
    expect(ca).toMatch(/Key Usage: critical\s+Certificate Sign, CRL Sign/);
    const server = openssl("x509", "-noout", "-text", "-in", file("server.pem"));
    expect(server).toMatch(/Basic Constraints: critical\s+CA:FALSE/);
    expect(server).toMatch(/Key Usage: critical\s+Digital Signature/);
    expect(server).toMatch(/Extended Key Usage:\s+TLS Web Server Authentication/);
    expect(server).toMatch(
      /Subject Alternative Name:\s+DNS:localhost, IP Address:127.0.0.1, IP Address:0:0:0:0:0:0:0:1/,
    );
    const [caId] = /Subject Key Identifier:\s+([0-9A-F:]+)/.exec(ca)?.slice(1) ?? [];
    expect(server).toMatch(new RegExp(`Authority Key Identifier:\\s+(keyid:)?${caId}`));
    expect(server).toContain("ASN1 OID: prime256v1");
  });

  it("keeps its keys to itself and shows its certificates, whatever the umask", () => {
    const before = process.umask(0o077);
    onTestFinished(() => void process.umask(before));
    open();
    expect(["ca-key.pem", "server-key.pem"].map(modeOf)).toEqual([0o600, 0o600]);
    expect(["ca.pem", "server.pem"].map(modeOf)).toEqual([0o644, 0o644]);
  });

  it("gets a name of its own", () => {
    open();
    const first = new X509Certificate(readFileSync(file("ca.pem")));
    rmSync(file("ca.pem"));
    rmSync(file("ca-key.pem"));
    open();
    expect(new X509Certificate(readFileSync(file("ca.pem"))).subject).not.toBe(first.subject);
  });
});

describe("an authority that is opened again", () => {
  const snapshot = () =>
    ["ca.pem", "ca-key.pem", "server.pem", "server-key.pem"].map((name) => readFileSync(file(name), "utf8"));

  it("changes nothing while nothing has to change", () => {
    open(["dps.example", "2001:db8::7"]);
    const before = snapshot();
    const again = open(["dps.example", "2001:db8::7"]);
    expect(snapshot()).toEqual(before);
    expect([again.certificate, again.privateKey]).toEqual(before.slice(2));
  });

  it.each([
    { change: "a name is added", act: () => open(["dps.example"]) },
    { change: "the certificate nears its end", act: () => open([], Date.now() + 370 * dayMs) },
    {
      change: "the clock is before its beginning",
      act: () => open([], Date.now() - 10 * dayMs),
      caToo: true,
    },
    {
      change: "its key is another's",
      act: () => {
        openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", file("server-key.pem"));
        open();
      },
    },
    {
      change: "its file is garbage",
      act: () => {
        writeFileSync(file("server.pem"), "garbage");
        open();
      },
    },
    {
      change: "its file was lost",
      act: () => {
        rmSync(file("server.pem"));
        open();
      },
    },
  ])("renews the server certificate when $change", ({ act, caToo = false }) => {
    open();
    const [ca, caKey, server] = snapshot();
    act();
    const after = snapshot();
    expect(after[0] === ca).toBe(!caToo);
    expect(after[1]).toBe(caKey);
    expect(after[2]).not.toBe(server);
    const renewed = new X509Certificate(after[2] as string);
    expect(renewed.verify(new X509Certificate(after[0] as string).publicKey)).toBe(true);
  });

  it("drops a name that is no longer asked for", () => {
    open(["dps.example"]);
    const { certificate } = open();
    expect(new X509Certificate(certificate).subjectAltName).toBe(
      "DNS:localhost, IP Address:127.0.0.1, IP Address:0:0:0:0:0:0:0:1",
    );
  });

  it("renews the CA certificate with the same key and name, so that old copies of it stay good", () => {
    open();
    renameSync(file("ca.pem"), file("old-ca.pem"));
    writeFileSync(file("ca.pem"), readFileSync(file("old-ca.pem")));
    const later = Date.now() + 3630 * dayMs;
    open([], later);
    expect(readFileSync(file("ca.pem"), "utf8")).not.toBe(readFileSync(file("old-ca.pem"), "utf8"));
    const at = String(Math.floor(later / 1000));
    for (const ca of ["ca.pem", "old-ca.pem"]) {
      expect(
        openssl("verify", "-attime", at, "-x509_strict", "-CAfile", file(ca), file("server.pem")),
      ).toContain("OK");
    }
  });

  it("certifies dates from 2050 on", () => {
    const in2055 = Date.UTC(2055, 0, 1);
    open([], in2055);
    expect(openssl("x509", "-noout", "-startdate", "-in", file("server.pem"))).toContain(
      "Dec 31 00:00:00 2054 GMT",
    );
    expect(
      openssl(
        "verify",
        "-attime",
        String(in2055 / 1000),
        "-x509_strict",
        "-CAfile",
        file("ca.pem"),
        file("server.pem"),
      ),
    ).toContain("OK");
  });

  it("finishes what an interrupted start began", () => {
    open();
    const key = readFileSync(file("ca-key.pem"), "utf8");
    rmSync(file("ca.pem"));
    open();
    expect(readFileSync(file("ca-key.pem"), "utf8")).toBe(key);
    expect(openssl("verify", "-CAfile", file("ca.pem"), file("server.pem"))).toContain("OK");
  });

  it.each([
    { damage: "the CA's key is missing", inflict: () => rmSync(file("ca-key.pem")) },
    { damage: "the CA's key is garbage", inflict: () => writeFileSync(file("ca-key.pem"), "garbage") },
    { damage: "the CA's certificate is garbage", inflict: () => writeFileSync(file("ca.pem"), "garbage") },
    {
      damage: "the CA's key is another's",
      inflict: () =>
        openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", file("ca-key.pem")),
    },
  ])("replaces nothing and says so when $damage", ({ inflict }) => {
    open();
    inflict();
    const ca = readFileSync(file("ca.pem"), "utf8");
    expect(() => open()).toThrow(
      expect.objectContaining({ code: "ERR_SERVICE_START", message: expect.stringContaining(directory) }),
    );
    expect(readFileSync(file("ca.pem"), "utf8")).toBe(ca);
  });
});

describe("names in a certificate", () => {
  it.each(["", "a b", "-x.example", "x..example", "*", "https://dps.example", "ä.example"])(
    "refuses %j",
    (name) => {
      expect(() => open([name])).toThrow(expect.objectContaining({ code: "ERR_USAGE" }));
    },
  );

  it.each([
    ["10.1.2.3", "0a010203"],
    ["::", "0".repeat(32)],
    ["::1", `${"0".repeat(31)}1`],
    ["2001:db8::7", "20010db8000000000000000000000007"],
    ["fe80:1:2:3:4:5:6:7", "fe800001000200030004000500060007"],
    ["1::", `0001${"0".repeat(28)}`],
    ["::ffff:10.1.2.3", "00000000000000000000ffff0a010203"],
  ])("writes the address %s as %s", (address, hex) => {
    expect(addressBytes(address).toString("hex")).toBe(hex);
  });
});

it("says which file it cannot write", () => {
  symlinkSync("nowhere", join(directory, "ca-key.pem"));
  expect(() => open()).toThrow(
    expect.objectContaining({
      code: "ERR_SERVICE_START",
      message: `cannot write ${file("ca-key.pem")}: it is a symbolic link`,
    }),
  );
});
