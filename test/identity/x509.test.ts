import { createPrivateKey, X509Certificate } from "node:crypto";
import { chmodSync, copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inspect } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openX509Identity, type X509Files, x509Outline } from "../../src/identity/x509.ts";
import { silentLog } from "../../src/system/log.ts";
import { type KeyType, makeCertificate, makeKey, openssl } from "../support/openssl.ts";
import { recordingLog } from "../support/recording-log.ts";
import { thrownBy } from "../support/thrown.ts";
import { virtualClock } from "../support/virtual-clock.ts";

const isRoot = process.geteuid?.() === 0;
// The certificates are made while the tests run.
const clock = virtualClock(Date.now() + 3_600_000);
const good: readonly KeyType[] = ["RSA 2048", "RSA 3072", "EC P-256", "EC P-384"];
const bad: readonly KeyType[] = ["RSA 1024", "EC P-521", "EC secp256k1", "ed25519"];

let directory: string;
const at = (name: string): string => join(directory, name);
const fileName = (type: string): string => type.replace(" ", "-");
const keyOf = (type: KeyType): string => at(`${fileName(type)}.key`);
const certificateOf = (type: KeyType): string => at(`${fileName(type)}.pem`);
const put = (name: string, ...parts: (string | Buffer)[]): string => {
  writeFileSync(at(name), Buffer.concat(parts.map((part) => Buffer.from(part))), { mode: 0o600 });
  return at(name);
};
const open = (files: X509Files, registrationId?: string, log = silentLog, now = clock) =>
  openX509Identity(files, { ...(registrationId !== undefined && { registrationId }), clock: now, log });

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "mooring-x509-"));
  for (const type of [...good, ...bad]) {
    makeKey(directory, `${fileName(type)}.key`, type);
    makeCertificate(directory, `${fileName(type)}.pem`, {
      key: keyOf(type),
      subject: "/O=Contoso/CN=gw-0001",
    });
  }
  put("password", "correct horse\n");
  put("wrong-password", "wrong\n");
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

/** A certificate for `subject` with the P-256 key. */
const certificate = (name: string, subject: string, extensions: string[] = []): string =>
  makeCertificate(directory, name, { key: keyOf("EC P-256"), subject, extensions });

describe("an X.509 identity", () => {
  it.each(good)("with %s is opened, with the facts that openssl tells", async (type) => {
    const identity = await open({ certificate: certificateOf(type), privateKey: keyOf(type) });
    const ask = (...args: string[]): string =>
      openssl("x509", "-noout", "-in", certificateOf(type), ...args).trim();
    const date = (text: string): string => new Date(text.replace(/.*=/, "")).toISOString();
    const hex = (text: string): string => text.replace(/.*=/, "").replaceAll(":", "").toUpperCase();
    expect(identity).toMatchObject({ source: "x509", attestation: "x509", registrationId: "gw-0001" });
    expect(identity.facts).toEqual({
      subject: "O=Contoso, CN=gw-0001",
      issuer: "O=Contoso, CN=gw-0001",
      commonName: "gw-0001",
      serialNumber: hex(ask("-serial")),
      notBefore: date(ask("-startdate")),
      notAfter: date(ask("-enddate")),
      sha1Thumbprint: hex(ask("-fingerprint", "-sha1")),
      sha256Thumbprint: hex(ask("-fingerprint", "-sha256")),
      keyType: type,
      chainLength: 1,
      daysLeft: 29,
    });
    openssl("pkey", "-in", keyOf(type), "-pubout", "-outform", "DER", "-out", at("public.der"));
    expect(identity.publicKeySha256).toBe(openssl("dgst", "-sha256", "-r", at("public.der")).slice(0, 64));
    expect((await x509Outline({ certificate: certificateOf(type) })).publicKeySha256).toBe(
      identity.publicKeySha256,
    );
    const key = createPrivateKey(identity.privateKey.reveal());
    expect(new X509Certificate(identity.certificate).checkPrivateKey(key)).toBe(true);
  });

  it("does not show its key when it is printed", async () => {
    const identity = await open({ certificate: certificateOf("EC P-256"), privateKey: keyOf("EC P-256") });
    const secret = readFileSync(keyOf("EC P-256"), "utf8").split("\n")[1] ?? "?";
    expect(identity.privateKey.reveal().toString()).toContain(secret);
    expect(inspect(identity, { depth: 9 }) + JSON.stringify(identity)).not.toContain(secret);
  });

  it.each(bad)("with %s is refused, because DPS or TLS would", async (type) => {
    const error = await thrownBy(() => open({ certificate: certificateOf(type), privateKey: keyOf(type) }));
    expect(error).toMatchObject({
      code: "ERR_IDENTITY_INVALID",
      message: expect.stringContaining(`its key is ${type}`),
    });
  });
});

describe("a private key", () => {
  type Case = [
    name: string,
    type: KeyType,
    args: (key: string, out: string) => string[],
    isEncrypted: boolean,
  ];
  const aes = ["-passout", "pass:correct horse"];
  const cases: Case[] = [
    ["PKCS#1", "RSA 2048", (key, out) => ["rsa", "-in", key, "-traditional", "-out", out], false],
    ["SEC1", "EC P-384", (key, out) => ["ec", "-in", key, "-out", out], false],
    [
      "encrypted PKCS#8",
      "RSA 2048",
      (key, out) => ["pkcs8", "-topk8", "-v2", "aes-256-cbc", "-in", key, "-out", out, ...aes],
      true,
    ],
    [
      "encrypted PKCS#8, scrypt",
      "EC P-256",
      (key, out) => ["pkcs8", "-topk8", "-scrypt", "-in", key, "-out", out, ...aes],
      true,
    ],
    [
      "encrypted PKCS#1",
      "RSA 2048",
      (key, out) => ["rsa", "-in", key, "-traditional", "-aes256", "-out", out, ...aes],
      true,
    ],
    [
      "encrypted SEC1, triple DES",
      "EC P-256",
      (key, out) => ["ec", "-in", key, "-des3", "-out", out, ...aes],
      true,
    ],
  ];
  it.each(cases)("as %s (%s) is read", async (name, type, args, isEncrypted) => {
    const privateKey = at(`${name.replace(/\W/g, "")}.key`);
    openssl(...args(keyOf(type), privateKey));
    const files = { certificate: certificateOf(type), privateKey };
    const password = { passwordFile: at("password") };
    expect((await open({ ...files, ...(isEncrypted && password) })).registrationId).toBe("gw-0001");
    if (!isEncrypted) return;
    const missing = await thrownBy(() => open(files));
    expect(missing).toMatchObject({
      code: "ERR_KEY_PASSWORD",
      message: expect.stringContaining("no password_file"),
    });
    const wrong = await thrownBy(() => open({ ...files, passwordFile: at("wrong-password") }));
    expect(wrong).toMatchObject({
      code: "ERR_KEY_PASSWORD",
      message: expect.stringContaining("does not open"),
    });
    expect(inspect(wrong, { depth: 9 })).not.toMatch(/wrong\n|correct horse/);
  });

  it("behind its EC parameters is read", async () => {
    openssl("ecparam", "-name", "prime256v1", "-genkey", "-out", at("parameters.key"));
    expect(readFileSync(at("parameters.key"), "utf8")).toContain("EC PARAMETERS");
    const path = makeCertificate(directory, "parameters.pem", {
      key: at("parameters.key"),
      subject: "/CN=gw",
    });
    expect((await open({ certificate: path, privateKey: at("parameters.key") })).registrationId).toBe("gw");
  });

  it("that belongs to another certificate is ERR_KEY_MISMATCH, with both files named", async () => {
    for (const other of ["RSA 2048", "EC P-384"] as const) {
      const error = await thrownBy(() =>
        open({ certificate: certificateOf("EC P-256"), privateKey: keyOf(other) }),
      );
      expect(error.code).toBe("ERR_KEY_MISMATCH");
      expect(error.message).toContain(keyOf(other));
      expect(error.message).toContain(certificateOf("EC P-256"));
    }
  });

  it.each(["", "nonsense", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"])(
    "that reads %j is ERR_IDENTITY_INVALID",
    async (text) => {
      const error = await thrownBy(() =>
        open({ certificate: certificateOf("EC P-256"), privateKey: put("broken.key", text) }),
      );
      expect(error.code).toBe("ERR_IDENTITY_INVALID");
    },
  );

  it("that others can read is worth a warning", async () => {
    const privateKey = at("open.key");
    copyFileSync(keyOf("EC P-256"), privateKey);
    for (const [mode, warnings] of [
      [0o644, ["identity.secret-file-open"]],
      [0o640, []],
    ] as const) {
      chmodSync(privateKey, mode);
      const log = recordingLog();
      await open({ certificate: certificateOf("EC P-256"), privateKey }, undefined, log);
      expect(log.named("warn")).toEqual(warnings);
    }
  });

  it("that is missing is named", async () => {
    const error = await thrownBy(() =>
      open({ certificate: certificateOf("EC P-256"), privateKey: at("none.key") }),
    );
    expect(error).toMatchObject({
      code: "ERR_IDENTITY_UNREADABLE",
      message: expect.stringMatching(/none\.key: there is no such file/),
    });
  });

  it.skipIf(isRoot)("that we may not read is named with its owner and mode", async () => {
    const privateKey = at("closed.key");
    copyFileSync(keyOf("EC P-256"), privateKey);
    chmodSync(privateKey, 0);
    const error = await thrownBy(() => open({ certificate: certificateOf("EC P-256"), privateKey }));
    expect(error).toMatchObject({
      code: "ERR_IDENTITY_UNREADABLE",
      message: expect.stringMatching(
        /closed\.key: EACCES; it belongs to \S+ with mode 0000, and Mooring runs as \S+/,
      ),
    });
  });
});

describe("a certificate", () => {
  const privateKey = (): string => keyOf("EC P-256");
  const check = (name: string, subject: string, extensions: string[] = [], registrationId?: string) =>
    open({ certificate: certificate(name, subject, extensions), privateKey: privateKey() }, registrationId);

  it("whose time is over, or has not come, is told with its dates and the clock's", async () => {
    const files = { certificate: certificateOf("EC P-256"), privateKey: privateKey() };
    const late = await thrownBy(() => open(files, undefined, silentLog, virtualClock(Date.UTC(2055, 0))));
    expect(late.code).toBe("ERR_CERTIFICATE_EXPIRED");
    expect(late.message).toMatch(/was valid until 20\d\d-.*; this machine's clock says 2055-01-01/);
    const early = await thrownBy(() => open(files, undefined, silentLog, virtualClock(0)));
    expect(early.code).toBe("ERR_CERTIFICATE_NOT_YET_VALID");
    expect(early.message).toMatch(/is valid from 20\d\d-.*; this machine's clock says 1970-01-01/);
  });

  const usages: [name: string, extensions: string[], refusal: RegExp | undefined][] = [
    ["without limits", [], undefined],
    ["for clients", ["extendedKeyUsage=clientAuth"], undefined],
    ["for servers and clients", ["extendedKeyUsage=serverAuth,clientAuth"], undefined],
    ["for any purpose", ["extendedKeyUsage=anyExtendedKeyUsage"], undefined],
    [
      "for servers",
      ["extendedKeyUsage=serverAuth"],
      /extended key usage does not name TLS client authentication/,
    ],
    ["for signing", ["keyUsage=critical,digitalSignature,keyEncipherment"], undefined],
    ["for key agreement", ["keyUsage=keyAgreement"], /key usage does not name digital signatures/],
    [
      "for encryption, critically",
      ["keyUsage=critical,keyEncipherment", "basicConstraints=critical,CA:FALSE"],
      /key usage/,
    ],
    ["of a CA that may sign", ["basicConstraints=CA:TRUE"], undefined],
  ];
  it.each(usages)("%s: key usage counts where it is given", async (name, extensions, refusal) => {
    const outcome = () => check(`${name.replace(/\W/g, "")}.pem`, "/CN=gw", extensions);
    if (!refusal) expect((await outcome()).registrationId).toBe("gw");
    else
      expect(await thrownBy(outcome)).toMatchObject({
        code: "ERR_IDENTITY_INVALID",
        message: expect.stringMatching(refusal),
      });
  });

  it("gives its common name for the registration id, and a configured one has to be the same", async () => {
    expect((await check("cn.pem", "/CN=GW-0001")).registrationId).toBe("GW-0001");
    expect((await check("cn.pem", "/CN=GW-0001", [], "gw-0001")).registrationId).toBe("gw-0001");
    const other = await thrownBy(() => check("cn.pem", "/CN=GW-0001", [], "gw-0002"));
    expect(other.code).toBe("ERR_REGISTRATION_ID_INVALID");
    expect(other.message).toMatch(/registration_id is "gw-0002", but .* is of "GW-0001"/);
  });

  it.each([
    ["/O=Contoso", "ERR_IDENTITY_INVALID", /exactly one common name/],
    ["/CN=gw-1/CN=gw-2", "ERR_IDENTITY_INVALID", /exactly one common name/],
    ["/CN=gw 1", "ERR_REGISTRATION_ID_INVALID", /"gw 1", is no registration id: " " is not allowed/],
    ["/CN=gw.", "ERR_REGISTRATION_ID_INVALID", /ends in "\."/],
    ["/CN=gé", "ERR_REGISTRATION_ID_INVALID", /"é" is not allowed/],
  ])("of %s is refused", async (subject, code, message) => {
    // openssl wants to be told that the subject is UTF-8.
    const key = privateKey();
    openssl("req", "-x509", "-utf8", "-key", key, "-subj", subject, "-days", "2", "-out", at("name.pem"));
    const error = await thrownBy(() => open({ certificate: at("name.pem"), privateKey: key }));
    expect(error).toMatchObject({ code, message: expect.stringMatching(message) });
  });

  it("is not fooled by a common name inside another field", async () => {
    expect((await check("inside.pem", "/O=x\nCN=evil/CN=gw")).registrationId).toBe("gw");
  });

  it.each(["", "nonsense", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"])(
    "that reads %j is ERR_IDENTITY_INVALID",
    async (text) => {
      const path = put("broken.pem", text);
      expect((await thrownBy(() => open({ certificate: path, privateKey: privateKey() }))).code).toBe(
        "ERR_IDENTITY_INVALID",
      );
      expect((await thrownBy(() => x509Outline({ certificate: path }))).code).toBe("ERR_IDENTITY_INVALID");
    },
  );
});

describe("a chain", () => {
  let root: string;
  let intermediate: string;
  let leaf: string;
  beforeAll(() => {
    const ca = ["basicConstraints=critical,CA:TRUE", "keyUsage=critical,keyCertSign"];
    const rootKey = makeKey(directory, "root.key", "EC P-256");
    root = makeCertificate(directory, "root.pem", { key: rootKey, subject: "/CN=Root", extensions: ca });
    const key = makeKey(directory, "intermediate.key", "EC P-384");
    const issuer = { certificate: root, key: rootKey };
    intermediate = makeCertificate(directory, "intermediate.pem", {
      key,
      subject: "/CN=Line 4",
      extensions: ca,
      issuer,
    });
    leaf = makeCertificate(directory, "leaf.pem", {
      key: keyOf("RSA 2048"),
      subject: "/CN=gw-0001",
      issuer: { certificate: intermediate, key },
    });
  });
  const subjects = (pem: string): string[] =>
    (pem.match(/-----BEGIN[^-]+-----[^-]+-----END[^-]+-----/g) ?? []).map(
      (one) => new X509Certificate(one).subject,
    );

  it.each([
    ["in order", ["leaf", "intermediate", "root"]],
    ["root first", ["root", "intermediate", "leaf"]],
    ["leaf in the middle", ["intermediate", "leaf", "root"]],
    ["everything twice", ["root", "leaf", "intermediate", "leaf", "root", "intermediate"]],
    ["a stranger among them", ["stranger", "root", "intermediate", "leaf"]],
  ])("is sent leaf first, wherever its certificates stand: %s", async (_name, order) => {
    const files: Record<string, string> = { leaf, intermediate, root, stranger: root };
    const path = put(
      "chain.pem",
      ...order.map((name) => `Some text\n${readFileSync(files[name] ?? "", "utf8")}\r\n`),
    );
    const identity = await open({ certificate: path, privateKey: keyOf("RSA 2048") });
    expect(subjects(identity.certificate)).toEqual(["CN=gw-0001", "CN=Line 4", "CN=Root"]);
    expect(identity.facts.chainLength).toBe(3);
    expect((await x509Outline({ certificate: path })).publicKeySha256).toBe(identity.publicKeySha256);
  });

  it("is that of the private key where a certificate of another chain stands beside it", async () => {
    const other = makeCertificate(directory, "other.pem", {
      key: keyOf("EC P-256"),
      subject: "/CN=Other Root",
      extensions: ["basicConstraints=critical,CA:TRUE"],
    });
    const certificates = [other, root, intermediate, leaf].map((file) => readFileSync(file));
    const files = { certificate: put("two.pem", ...certificates), privateKey: keyOf("RSA 2048") };
    const identity = await open(files);
    expect(subjects(identity.certificate)).toEqual(["CN=gw-0001", "CN=Line 4", "CN=Root"]);
    expect((await x509Outline(files)).publicKeySha256).toBe(identity.publicKeySha256);

    const pkcs12 = at("two.p12");
    const [inkey, certfile] = [keyOf("RSA 2048"), put("others.pem", ...certificates.slice(0, 3))];
    const made = ["-export", "-inkey", inkey, "-in", leaf, "-certfile", certfile, "-out", pkcs12];
    openssl("pkcs12", ...made, "-passout", "pass:correct horse");
    const archive = { pkcs12, passwordFile: at("password") };
    expect(subjects((await open(archive)).certificate)).toEqual(["CN=gw-0001", "CN=Line 4", "CN=Root"]);
    expect((await x509Outline(archive)).publicKeySha256).toBe(identity.publicKeySha256);
  });

  it.each([
    ["with two certificates of the device's key", () => certificateOf("RSA 2048"), "could be it"],
    ["with two that are not of its key", () => certificateOf("EC P-384"), "belongs to none"],
  ])("%s is refused", async (_what, second, why) => {
    const first = why === "could be it" ? leaf : certificateOf("EC P-256");
    const certificate = put("two.pem", readFileSync(first), readFileSync(second()));
    const error = await thrownBy(() => open({ certificate, privateKey: keyOf("RSA 2048") }));
    expect(error).toMatchObject({
      code: "ERR_IDENTITY_INVALID",
      message: expect.stringContaining(why),
    });
  });
});

describe("a PKCS#12 archive", () => {
  const modern: string[] = [];
  const legacy = ["-legacy"];
  const mixed = ["-keypbe", "aes-128-cbc", "-certpbe", "PBE-SHA1-3DES", "-macalg", "sha1"];
  const sha512 = ["-keypbe", "aes-192-cbc", "-certpbe", "NONE", "-macalg", "sha512", "-iter", "3000"];
  const cases = (["RSA 2048", "EC P-256", "EC P-384"] as const).flatMap((type) =>
    Object.entries({ modern, legacy, mixed, sha512 }).map(
      ([name, options]) => [type, name, options] as const,
    ),
  );

  function exported(type: KeyType, options: readonly string[], password = "correct horse"): string {
    const out = at("device.p12");
    openssl(
      "pkcs12",
      "-export",
      "-inkey",
      keyOf(type),
      "-in",
      certificateOf(type),
      "-out",
      out,
      "-passout",
      `pass:${password}`,
      ...options,
    );
    return out;
  }

  it.each(cases)("with %s (%s) is opened", async (type, _name, options) => {
    const pkcs12 = exported(type, options);
    const identity = await open({ pkcs12, passwordFile: at("password") });
    const fromPem = await open({ certificate: certificateOf(type), privateKey: keyOf(type) });
    expect(identity).toEqual(fromPem);
    expect(identity.privateKey.reveal().equals(fromPem.privateKey.reveal())).toBe(true);
    expect((await x509Outline({ pkcs12, passwordFile: at("password") })).publicKeySha256).toBe(
      fromPem.publicKeySha256,
    );
    for (const files of [{ pkcs12, passwordFile: at("wrong-password") }, { pkcs12 }]) {
      expect((await thrownBy(() => open(files))).code).toBe("ERR_KEY_PASSWORD");
    }
  });

  it.each(["pässwörd ☃", ""])("has the password %j", async (password) => {
    for (const options of [modern, legacy]) {
      const pkcs12 = exported("EC P-256", options, password);
      const files = { pkcs12, passwordFile: put("other-password", `${password}\n`) };
      expect((await open(files)).registrationId).toBe("gw-0001");
    }
  });

  it("without a MAC is opened, and a wrong password does no more than fail", async () => {
    const pkcs12 = exported("EC P-256", ["-nomac"]);
    expect((await open({ pkcs12, passwordFile: at("password") })).registrationId).toBe("gw-0001");
    expect((await thrownBy(() => open({ pkcs12, passwordFile: at("wrong-password") }))).code).toMatch(
      /ERR_(?:KEY_PASSWORD|IDENTITY_INVALID)/,
    );
  });

  it("brings its chain along", async () => {
    const pkcs12 = at("chain.p12");
    openssl(
      "pkcs12",
      "-export",
      "-inkey",
      keyOf("RSA 2048"),
      "-in",
      at("leaf.pem"),
      "-certfile",
      at("intermediate.pem"),
      "-out",
      pkcs12,
      "-passout",
      "pass:correct horse",
    );
    expect((await open({ pkcs12, passwordFile: at("password") })).facts).toMatchObject({
      chainLength: 2,
      commonName: "gw-0001",
    });
  });

  it("lets a certificate file speak for it", async () => {
    const pkcs12 = exported("RSA 2048", modern);
    const files = { pkcs12, passwordFile: at("password") };
    expect((await open({ ...files, certificate: at("leaf.pem") })).facts.issuer).toBe("CN=Line 4");
    const error = await thrownBy(() => open({ ...files, certificate: certificateOf("EC P-256") }));
    expect(error.code).toBe("ERR_KEY_MISMATCH");
  });

  it("without a private key is refused", async () => {
    const pkcs12 = at("nokey.p12");
    openssl(
      "pkcs12",
      "-export",
      "-nokeys",
      "-in",
      certificateOf("RSA 2048"),
      "-out",
      pkcs12,
      "-passout",
      "pass:correct horse",
    );
    const error = await thrownBy(() => open({ pkcs12, passwordFile: at("password") }));
    expect(error).toMatchObject({
      code: "ERR_IDENTITY_INVALID",
      message: expect.stringContaining("no private key"),
    });
  });

  it("that is mangled gives the same identity or a MooringError, never another one and never a crash", async () => {
    const whole = readFileSync(exported("EC P-256", ["-iter", "1"]));
    const original = await open({ pkcs12: put("whole.p12", whole), passwordFile: at("password") });
    let refused = 0;
    for (let byte = 0; byte < whole.length; byte += 5) {
      const mangled = Buffer.from(byte % 2 ? whole.subarray(0, byte) : whole);
      if (byte % 2 === 0) mangled[byte] = (mangled[byte] ?? 0) ^ 0x55;
      const opening = open({ pkcs12: put("mangled.p12", mangled), passwordFile: at("password") });
      const [outcome] = await Promise.allSettled([opening]);
      if (outcome.status === "fulfilled") expect(outcome.value).toEqual(original);
      else refused += 1;
      const code = outcome.status === "rejected" ? (await thrownBy(() => opening)).code : undefined;
      expect([undefined, "ERR_KEY_PASSWORD", "ERR_IDENTITY_INVALID"]).toContain(code);
    }
    expect(refused).toBeGreaterThan(whole.length / 10);
  });
});
