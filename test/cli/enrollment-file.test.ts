import { existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { RunningService } from "../../src/service/service.ts";
import { directoryOfFile } from "../service/sockets.ts";
import { commandLine, type Said } from "../support/command-line.ts";
import { startServiceHere } from "../support/service-in-process.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

const dataDirectory = directoryOfFile();
let service: RunningService;
let directory: string;

beforeAll(async () => {
  service = await startServiceHere(dataDirectory);
});
afterAll(() => service.stop());
beforeEach(async () => {
  directory = temporaryDirectory();
  for (const { registrationId } of (await mooring("list", "--json")).json() as { registrationId: string }[])
    await mooring("delete", registrationId, "--yes");
});

const mooring = (...args: string[]): Promise<Said> =>
  commandLine(
    "enrollment",
    ...args,
    "--service-file",
    service.connectionStringFile,
    "--ca-file",
    service.caFile,
  );

function csv(...lines: string[]): string {
  const file = join(directory, "batch.csv");
  writeFileSync(file, `${lines.join("\n")}\n`);
  return file;
}

const header = "registration_id,attestation,device_id";

describe("mooring enrollment import", () => {
  it("creates what the file names, and says so", async () => {
    const file = csv(header, "gw-1,symmetricKey,one", "gw-2,symmetricKey,");
    expect(await mooring("import", file)).toMatchObject({
      code: 0,
      err: "",
      out: `${file}: 2 rows: 2 created\n`,
    });
    expect((await mooring("show", "gw-1", "--json")).json()).toMatchObject({ deviceId: "one" });
    expect((await mooring("import", file, "--json")).json()).toEqual({
      ...{ file, rows: 2, created: 0, updated: 0, alreadyThere: 2 },
      refused: [],
    });
  });

  it.each([
    ["a file to import", ["import", "/nonexistent.csv"]],
    ["a certificate", ["create", "--registration-id", "gw-1", "--certificate", "/nonexistent.pem"]],
    ["a key", ["create", "--registration-id", "gw-1", "--symmetric-key-file", "/nonexistent.key"]],
  ])("ends with 66, and the path, where there is no such file: %s", async (_what, args) => {
    const { code, err } = await mooring(...args);
    expect(code).toBe(66);
    expect(err).toMatch(/ERR_INPUT: cannot read \/nonexistent\.\w+: ENOENT/);
  });

  it("ends with 66 where there is no data directory, and with 64 for a CA file without a certificate", async () => {
    const missing = await commandLine("enrollment", "list", "--data", "/nonexistent");
    expect(missing).toMatchObject({
      code: 66,
      err: expect.stringContaining("/nonexistent/connection-string"),
    });
    const service = ["--service-file", join(dataDirectory, "connection-string")];
    const other = await commandLine("enrollment", "list", ...service, "--ca-file", csv("no certificate"));
    expect(other).toMatchObject({ code: 64, err: expect.stringContaining("there is no certificate in") });
  });

  it("refuses an empty file", async () => {
    const file = join(directory, "empty.csv");
    writeFileSync(file, "");
    expect(await mooring("import", file)).toMatchObject({ code: 65, out: "" });
  });

  it("lists every mistake with its line, and sends nothing", async () => {
    const report = join(directory, "report.csv");
    const file = csv(header, "gw-1,symmetricKey,one", "gw 2,symmetricKey,", "gw-3,,");
    const { code, err, out } = await mooring("import", file, "--report", report, "--json");
    expect(code).toBe(65);
    expect(err).toContain("2 mistakes in 3 rows");
    expect(err).toContain("line 3 (gw 2): registration_id: ");
    expect(err).toContain("line 4 (gw-3): attestation: missing");
    expect(JSON.parse(out)).toMatchObject({
      error: { code: "ERR_IMPORT_INVALID", problems: [expect.any(String), expect.any(String)] },
    });
    expect(readFileSync(report, "utf8").split("\n")).toEqual([
      "line,id,error_code,reason",
      expect.stringMatching(/^3,gw 2,,"?registration_id: /),
      "4,gw-3,,attestation: missing",
      "",
    ]);
    expect((await mooring("list", "--json")).json()).toEqual([]);
  });

  it("does not need a service to find out what is wrong", async () => {
    const right = csv(header, "gw-1,symmetricKey,one");
    expect(await commandLine("enrollment", "import", right, "--dry-run")).toMatchObject({
      code: 0,
      out: expect.stringContaining("1 row. Nothing was sent."),
    });
    expect((await commandLine("enrollment", "import", csv(header, "gw-1,none,"), "--dry-run")).code).toBe(65);
  });

  it("exits with 73 when the service refused a part, and reports which and why", async () => {
    await mooring("create", "--registration-id", "gw-2", "--symmetric-key", "--device-id", "other");
    const file = csv(header, "gw-1,symmetricKey,one", "gw-2,symmetricKey,two");
    const report = join(directory, "report.json");
    const said = await mooring("import", file, "--report", report, "--json");
    expect(said.code).toBe(73);
    expect(said.err).toContain("ERR_IMPORT_PARTIAL");
    expect(said.err).toContain("line 3 (gw-2): it is there already, with another deviceId");
    expect(said.json()).toMatchObject({ created: 1, refused: [{ line: 3, id: "gw-2", errorCode: 409000 }] });
    expect(JSON.parse(readFileSync(report, "utf8"))).toEqual(said.json());

    expect((await mooring("import", file, "--update")).code).toBe(0);
    expect((await mooring("show", "gw-2", "--json")).json()).toMatchObject({ deviceId: "two" });
  });

  it("keeps what it knows when the report cannot be written", async () => {
    await mooring("create", "--registration-id", "gw-1", "--symmetric-key", "--device-id", "other");
    const file = csv(header, "gw-1,symmetricKey,one", "gw-2,symmetricKey,two");
    const said = await mooring("import", file, "--report", "/nowhere/report.csv");
    expect(said).toMatchObject({ code: 73, err: expect.stringContaining("ERR_OUTPUT") });
    const report = join(directory, "report.csv");
    const again = await mooring("import", file, "--report", report, "--json");
    expect(again.json()).toMatchObject({ created: 1, refused: [{ id: "gw-1" }] });
    expect(readFileSync(report, "utf8")).toMatch(/^2,gw-1,409000,/m);
  });

  it("does not wait for a service that never answered", async () => {
    const away = join(directory, "away");
    writeFileSync(away, "HostName=localhost:1;SharedAccessKeyName=x;SharedAccessKey=c2VjcmV0");
    const file = csv(header, "gw-1,symmetricKey,one");
    expect((await commandLine("enrollment", "import", file, "--service-file", away)).code).toBe(69);
    expect(existsSync(`${file}.journal`)).toBe(false);
  });

  it("goes on with --journal elsewhere, and not with a journal of another file", async () => {
    const journal = join(directory, "journal");
    writeFileSync(journal, '{"service":"x"}\n{"tally":{"rows":10},"refused":[]}\n');
    const file = csv(header, "gw-1,symmetricKey,one");
    expect((await mooring("import", file, "--journal", journal)).code).toBe(64);
    expect((await mooring("import", file, "--journal", journal, "--restart")).code).toBe(0);
    expect(existsSync(journal)).toBe(false);
  });
});

describe("mooring enrollment export", () => {
  it("writes keys only when asked, and then for the owner alone", async () => {
    const key = Buffer.alloc(32, 9).toString("base64");
    const keyFile = join(directory, "key");
    writeFileSync(keyFile, key);
    await mooring("create", "--registration-id", "gw-1", "--symmetric-key-file", keyFile);
    for (const name of ["plain.csv", "plain.json"]) {
      expect((await mooring("export", join(directory, name))).code).toBe(0);
      expect(readFileSync(join(directory, name), "utf8")).not.toContain(key);
    }
    const file = join(directory, "secret.csv");
    expect((await mooring("export", file, "--keys", "--json")).json()).toEqual({
      ...{ file, rows: 1, format: "csv", keys: true, incomplete: [] },
    });
    expect(readFileSync(file, "utf8")).toContain(key);
    expect(statSync(file).mode & 0o777).toBe(0o600);
  });

  it("writes to standard output without a file, CSV or JSON", async () => {
    await mooring("create", "--registration-id", "gw-1", "--symmetric-key");
    expect((await mooring("export")).out.split("\n")[1]).toMatch(/^gw-1,symmetricKey,/);
    expect((await mooring("export", "--json")).json()).toMatchObject([{ registrationId: "gw-1" }]);
  });

  it("gives a spreadsheet no formulas to run", async () => {
    await mooring("create", "--registration-id=-1-1", "--symmetric-key", "--device-id", "=cmd(1)");
    const { out } = await mooring("export");
    expect(out).toContain("'-1-1,");
    expect(out).toContain("'=cmd(1),");
  });

  it("leaves the file as it was when the service goes away in between", async () => {
    const file = join(directory, "all.csv");
    writeFileSync(file, "as it was");
    const wrong = join(directory, "wrong");
    writeFileSync(wrong, service.connectionString.replace(/Key=[^;]+$/, "Key=AAAA"));
    const { code } = await commandLine(
      "enrollment",
      "export",
      file,
      "--service-file",
      wrong,
      "--ca-file",
      service.caFile,
    );
    expect(code).toBe(77);
    expect(readFileSync(file, "utf8")).toBe("as it was");
  });
});

it("groups are imported and exported the same way", async () => {
  const group = (...args: string[]): Promise<Said> =>
    commandLine(
      "enrollment-group",
      ...args,
      "--service-file",
      service.connectionStringFile,
      "--ca-file",
      service.caFile,
    );
  const file = csv(
    "group_id,attestation,hubs",
    "plant-1,symmetricKey,a.example b.example",
    "plant-2,symmetricKey,",
  );
  expect((await group("import", file)).out).toBe(`${file}: 2 rows: 2 created\n`);
  expect((await group("export")).out).toMatch(/^plant-1,symmetricKey,.*,a\.example b\.example,/m);
  for (const id of ["plant-1", "plant-2"]) expect((await group("delete", id, "--yes")).code).toBe(0);
});
