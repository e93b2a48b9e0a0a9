import { X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { type CertificateUse, reportCertificate } from "../../src/service/certificate-report.ts";
import {
  type CertificateOptions,
  type KeyType,
  makeCertificate,
  makeKey,
  openssl,
} from "../support/openssl.ts";
import { openPortalCounter } from "./browser.ts";
import { directoryOfFile } from "./sockets.ts";

const directory = directoryOfFile();
const dayMs = 24 * 60 * 60_000;
let count = 0;

interface Made {
  readonly certificate: string;
  readonly key: string;
  readonly pem: string;
}

function make(
  subject: string,
  {
    kind = "EC P-256",
    ca = false,
    by,
    ...options
  }: {
    kind?: KeyType;
    ca?: boolean;
    by?: Made;
  } & Partial<Omit<CertificateOptions, "subject" | "issuer">> = {},
): Made {
  const name = String(++count);
  const key = makeKey(directory, `${name}.key`, kind);
  const certificate = makeCertificate(directory, `${name}.pem`, {
    key,
    subject,
    ...(by && { issuer: by }),
    ...options,
    extensions: [`basicConstraints = critical, CA:${ca ? "TRUE" : "FALSE"}`, ...(options.extensions ?? [])],
  });
  return { certificate, key, pem: readFileSync(certificate, "utf8") };
}

const root = make("/O=Acme/CN=Acme Root", { ca: true });
const intermediate = make("/CN=Plant 7", { ca: true, by: root });
const device = make("/O=Acme/CN=gw-1", { by: intermediate });

const report = (file: string | Buffer, use?: CertificateUse, now = Date.now() + 1000) =>
  reportCertificate(Buffer.from(file), { use, now });

describe("the report of a certificate", () => {
  it("has the facts that OpenSSL tells as well", () => {
    const ask = (...what: string[]): string =>
      openssl("x509", "-in", device.certificate, "-noout", ...what)
        .split("=")
        .slice(1)
        .join("=")
        .trim();
    const date = (text: string): string => new Date(text).toISOString().replace(".000Z", "Z");
    expect(report(device.pem)).toEqual({
      certificates: [
        {
          subject: "CN=gw-1, O=Acme",
          issuer: "CN=Plant 7",
          commonName: "gw-1",
          sha1Thumbprint: ask("-fingerprint", "-sha1").replaceAll(":", ""),
          sha256Thumbprint: ask("-fingerprint", "-sha256").replaceAll(":", ""),
          notBeforeUtc: date(ask("-startdate")),
          notAfterUtc: date(ask("-enddate")),
          isCa: false,
          keyKind: "EC P-256",
          serialNumber: ask("-serial"),
        },
      ],
      problems: [],
    });
  });

  it.each<[string, (pem: string) => string | Buffer]>([
    ["PEM with Windows' line ends", (pem) => pem.replaceAll("\n", "\r\n")],
    ["PEM behind what OpenSSL prints of it", (pem) => `Certificate:\n    Data: …\n${pem}`],
    ["DER", (pem) => new X509Certificate(pem).raw],
    ["base64 of DER", (pem) => new X509Certificate(pem).raw.toString("base64")],
    ["base64 of DER in lines", (pem) => pem.replaceAll(/-----.*-----/g, "")],
    ["base64 of PEM", (pem) => Buffer.from(pem).toString("base64")],
  ])("reads %s", (_what, write) => {
    expect(report(write(device.pem), "device")).toEqual(report(device.pem, "device"));
    expect(report(write(device.pem)).certificates).toHaveLength(1);
  });

  it("shows a whole chain, from the device up", () => {
    const { certificates, problems } = report(device.pem + intermediate.pem + root.pem, "device");
    expect(certificates.map(({ commonName, isCa }) => [commonName, isCa])).toEqual([
      ["gw-1", false],
      ["Plant 7", true],
      ["Acme Root", true],
    ]);
    expect(problems).toEqual([]);
  });

  const twin = make("/O=Acme/CN=Acme Root", { ca: true });
  const old = { days: 30, madeAt: "-60d" };
  const sha1 = ((): string => {
    const path = join(directory, "sha1.pem");
    const subject = ["-subj", "/CN=gw-1", "-addext", "basicConstraints=CA:FALSE"];
    openssl("req", "-x509", "-sha1", "-new", "-key", device.key, ...subject, "-out", path);
    return readFileSync(path, "utf8");
  })();

  it.each<[string, string, CertificateUse | undefined, RegExp]>([
    ["has expired", make("/CN=gw-1", { by: intermediate, ...old }).pem, "device", /"gw-1" expired on 20/],
    [
      "is of tomorrow",
      make("/CN=gw-1", { by: root, madeAt: "+2d" }).pem,
      "device",
      /"gw-1" is not valid before/,
    ],
    [
      "is a CA's, for a device",
      intermediate.pem,
      "device",
      /"Plant 7" is a CA certificate: enroll it as a group/,
    ],
    ["is a device's, for a group", device.pem, "ca", /"gw-1" is not a CA certificate: a group takes/],
    ["is signed by itself", make("/CN=gw-1").pem, "device", /"gw-1" is signed by itself/],
    ["has no common name", make("/O=Acme", { by: root }).pem, "device", /no common name, or several/],
    ["has two", make("/CN=a/CN=gw-1", { by: root }).pem, "device", /no common name, or several/],
    ["has no name at all", make("/", { by: root }).pem, "device", /no common name, or several/],
    ["has a short key", make("/CN=gw-1", { kind: "RSA 1024", by: root }).pem, undefined, /only 1024 bits/],
    [
      "has a strange curve",
      make("/CN=gw-1", { kind: "EC secp256k1", by: root }).pem,
      undefined,
      /EC secp256k1/,
    ],
    ["has a strange key", make("/CN=gw-1", { kind: "ed25519", by: root }).pem, undefined, /kind ed25519/],
    ["has a broken signature", sha1, undefined, /"gw-1" is signed with SHA-1 and ECDSA/],
    [
      "is for servers",
      make("/CN=gw-1", { by: root, extensions: ["extendedKeyUsage = serverAuth"] }).pem,
      "device",
      /not meant for TLS clients/,
    ],
    ["comes in the wrong order", root.pem + intermediate.pem, "ca", /"Acme Root" is not signed by "Plant 7"/],
    [
      "comes with a root of that name",
      intermediate.pem + twin.pem,
      "ca",
      /"Plant 7" is not signed by "Acme Root"/,
    ],
    [
      "comes with its key",
      device.pem + readFileSync(device.key, "utf8"),
      "device",
      /private key in this file/,
    ],
  ])("says that it %s", (_what, pem, use, says) => {
    const { certificates, problems } = report(pem, use);
    expect(certificates.length).toBeGreaterThan(0);
    expect(problems).toHaveLength(1);
    expect(problems[0]).toMatch(says);
  });

  it.each<[string, string]>([
    ["a device's certificate of a CA", make("/CN=gw-1", { kind: "RSA 2048", by: intermediate }).pem],
    [
      "one for clients and servers",
      make("/CN=gw-1", { by: root, extensions: ["extendedKeyUsage = serverAuth, clientAuth"] }).pem,
    ],
    ["one over P-384", make("/CN=gw-1", { kind: "EC P-384", by: root }).pem],
  ])("has nothing to say of %s", (_what, pem) => {
    expect(report(pem, "device").problems).toEqual([]);
  });

  it("has nothing to say of a root, and of an intermediate, for a group", () => {
    for (const { pem } of [root, intermediate]) expect(report(pem, "ca").problems).toEqual([]);
  });

  it("sees the day after the last one", () => {
    const [facts] = report(device.pem).certificates;
    const end = Date.parse(facts?.notAfterUtc ?? "");
    expect(report(device.pem, "device", end - dayMs).problems).toEqual([]);
    expect(report(device.pem, "device", end).problems).toHaveLength(1);
  });

  it.each<[string, string | Buffer, RegExp]>([
    ["nothing", "", /no certificate: neither PEM nor DER/],
    ["words", "certainly not", /no certificate/],
    ["base64 of something else", Buffer.from("certainly not").toString("base64"), /no certificate/],
    ["a key alone", readFileSync(device.key), /private key/],
    ["a request", readFileSync(`${device.certificate}.csr`), /request for a certificate; a CA has to sign/],
    ["a damaged one", device.pem.replace(/\n[A-Za-z0-9+/]{10}/, "\nAAAAAAAAAA"), /no certificate/],
    ["half of one", new X509Certificate(device.pem).raw.subarray(0, 200), /no certificate/],
  ])("calls %s by its name", (_what, file, says) => {
    const { certificates, problems } = report(file, "device");
    expect(certificates).toEqual([]);
    expect(problems[0]).toMatch(says);
  });

  it("names the one that is damaged among several, and shows the others", () => {
    const damaged = intermediate.pem.replace(/\n[A-Za-z0-9+/]{10}/, "\nAAAAAAAAAA");
    const { certificates, problems } = report(device.pem + damaged);
    expect(certificates).toHaveLength(1);
    expect(problems).toEqual(["Certificate 2 of this file is damaged."]);
  });

  it("looks at no more than ten, and never long", () => {
    expect(report(root.pem.repeat(12)).certificates).toHaveLength(10);
    expect(report(`${"A".repeat(60_000)}${" ".repeat(60_000)}!`).certificates).toEqual([]);
    expect(report("-----BEGIN CERTIFICATE-----".repeat(4000)).certificates).toEqual([]);
  });
});

describe("the question about a certificate", () => {
  it("takes the file as it is, whatever its type, from whoever may read enrollments", async () => {
    const { browser } = await openPortalCounter();
    const one = browser();
    await one.signIn("enrollmentread");
    for (const type of ["application/x-pem-file", "application/json", undefined]) {
      const headers = { "content-type": type };
      const answer = await one.ask("POST", "/mooring/certificate?use=ca", { body: device.pem, headers });
      expect(answer).toMatchObject({
        status: 200,
        body: { problems: [expect.stringContaining("not a CA")] },
      });
    }
    const other = browser();
    await other.signIn("registrationstatusread");
    expect((await other.ask("POST", "/mooring/certificate", { body: device.pem })).status).toBe(403);
  });

  it("is refused when it is too large, or about another use", async () => {
    const { browser } = await openPortalCounter();
    const one = browser();
    await one.signIn();
    const large = await one.ask("POST", "/mooring/certificate", { body: "A".repeat(128 * 1024 + 1) });
    expect(large).toMatchObject({ status: 413, body: { errorCode: 413000 } });
    const other = await one.ask("POST", "/mooring/certificate?use=server", { body: device.pem });
    expect(other).toMatchObject({ status: 400, body: { message: expect.stringContaining("use: ") } });
  });
});
