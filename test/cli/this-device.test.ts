import { execFileSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { drawQrCode, qrCode, widthOf } from "../../src/cli/qr-code.ts";
import type { RunningService } from "../../src/service/service.ts";
import { directoryOfFile } from "../service/sockets.ts";
import { commandLine, type Said } from "../support/command-line.ts";
import { issue, x509Identity } from "../support/pki.ts";
import { startServiceHere } from "../support/service-in-process.ts";

const directory = directoryOfFile();
let service: RunningService;
let certificate: string;
let config: string;

beforeAll(async () => {
  service = await startServiceHere(join(directory, "dps"));
  const issued = issue(directory, "gw-7");
  certificate = issued.certificate;
  config = join(directory, "config.toml");
  writeFileSync(
    config,
    `[provisioning]\nid_scope = "0ne00000000"\n${x509Identity(issued.certificateFile, issued.keyFile)}`,
  );
});
afterAll(() => service.stop());

const mooring = (...args: string[]): Promise<Said> =>
  commandLine(
    "enrollment",
    ...args,
    "--service-file",
    service.connectionStringFile,
    "--ca-file",
    service.caFile,
  );

describe("enrollment create --this-device", () => {
  it("enrolls the gateway with its own certificate", async () => {
    const said = await mooring(
      "create",
      "--this-device",
      "--config",
      config,
      "--device-id",
      "seven",
      "--json",
    );
    expect(said.json()).toMatchObject({
      registrationId: "gw-7",
      deviceId: "seven",
      attestation: {
        type: "x509",
        x509: { clientCertificates: { primary: { info: { subjectName: "CN=gw-7" } } } },
      },
    });
  });

  it.each([
    ["another name", ["--registration-id", "gw-8"]],
    ["another credential", ["--symmetric-key"]],
  ])("is refused with 64 beside %s", async (_, options) => {
    expect((await mooring("create", "--this-device", "--config", config, ...options)).code).toBe(64);
  });

  it("does not tell a symmetric key to anybody", async () => {
    const home = join(directory, "symmetric");
    mkdirSync(home);
    writeFileSync(join(home, "key"), Buffer.alloc(32, 5).toString("base64"), { mode: 0o600 });
    const file = join(home, "config.toml");
    writeFileSync(
      file,
      '[provisioning]\nid_scope = "0ne00000000"\n[identity]\nsource = "symmetric-key"\nregistration_id = "gw-9"\n[identity.symmetric_key]\nkey_file = "key"\n',
    );
    const said = await mooring("create", "--this-device", "--config", file);
    expect(said).toMatchObject({ code: 64, err: expect.stringContaining("--registration-id gw-9") });
    expect(said.out + said.err).not.toContain(Buffer.alloc(32, 5).toString("base64"));
  });
});

describe("identity show --enroll", () => {
  const show = (...args: string[]): Promise<Said> =>
    commandLine("identity", "show", "--config", config, ...args);

  it("prints what the service API takes, alone, so that it can be piped", async () => {
    const body = (await show("--enroll", "json")).json();
    expect(body).toEqual({
      registrationId: "gw-7",
      attestation: { type: "x509", x509: { clientCertificates: { primary: { certificate } } } },
    });
    const file = join(directory, "gw-7.json");
    writeFileSync(file, JSON.stringify(body));
    expect((await commandLine("enrollment", "import", file, "--dry-run")).code).toBe(0);
  });

  it("prints an az command that a shell reads as it is meant", async () => {
    const { out } = await show("--enroll", "az");
    const there = join(directory, "shell");
    mkdirSync(there);
    // A shell function in place of az shows its arguments, and the file that it is given.
    const script = `az() { printf '%s\\n' "$@"; for last in "$@"; do :; done; cat "$last"; }\n${out}`;
    const said = execFileSync("sh", ["-c", script], { cwd: there, encoding: "utf8" });
    expect(said).toBe(
      [
        ...["iot", "dps", "enrollment", "create", "--dps-name", "NAME", "--resource-group", "GROUP"],
        ...[
          "--enrollment-id",
          "gw-7",
          "--attestation-type",
          "x509",
          "--certificate-path",
          "gw-7.pem",
          certificate,
        ],
      ].join("\n"),
    );
  });

  it("prints all forms with words between, and as data for programs", async () => {
    const { out } = await show("--enroll");
    for (const part of ["PUT /enrollments/gw-7", "az iot dps enrollment create", "photographed", "▀▀▀▀▀"])
      expect(out).toContain(part);
    const { enrollment, az, qr } = (await show("--enroll", "--json")).json() as {
      enrollment: { registrationId: string };
      az: string;
      qr: { text: string; rows: string[] };
    };
    expect(enrollment.registrationId).toBe("gw-7");
    expect(az).toContain("--enrollment-id 'gw-7'");
    // The same enrollment, in one line.
    const inCode = JSON.parse(qr.text) as {
      attestation: { x509: { clientCertificates: { primary: { certificate: string } } } };
    };
    const der = inCode.attestation.x509.clientCertificates.primary.certificate;
    expect(der).toBe(certificate.replaceAll(/-----[^-]+-----|\s/g, ""));
    expect(qr.rows.every((row) => row.length === qr.rows.length)).toBe(true);
  });

  it("does not print a code that the terminal would break", async () => {
    const { columns } = process.stdout;
    onTestFinished(() => void Object.assign(process.stdout, { columns }));
    process.stdout.columns = 60;
    expect(await show("--enroll", "qr")).toMatchObject({ code: 64, err: expect.stringContaining("columns") });
    expect((await show("--enroll")).out).toMatch(/needs a terminal of \d+ columns, and this one has 60/);
  });
});

describe("a QR code", () => {
  it("has the marks by which readers find it, with light around it", async () => {
    const code = (await qrCode("mooring")) ?? expect.fail("no code");
    const lines = drawQrCode(code);
    expect(lines[0]).toBe(" ".repeat(widthOf(code)));
    for (const line of lines) expect(line).toHaveLength(widthOf(code));
    // ISO/IEC 18004, 6.3.3: 7 by 7 modules in three corners.
    const finder = ["█▀▀▀▀▀█", "█ ███ █", "█ ▀▀▀ █", "▀▀▀▀▀▀▀"];
    const corner = (from: number): string[] => lines.slice(1, 5).map((line) => line.slice(from, from + 7));
    expect(corner(2)).toEqual(finder);
    expect(corner(widthOf(code) - 9)).toEqual(finder);
  });

  it("is not made of what is too long for one", async () => {
    expect(await qrCode("x".repeat(2953))).toBeDefined();
    expect(await qrCode("x".repeat(2954))).toBeUndefined();
  });
});
