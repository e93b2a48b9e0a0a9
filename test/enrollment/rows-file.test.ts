import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { group, individual, type Kind } from "../../src/enrollment/kind.ts";
import { checkFile, type Finding, readRows } from "../../src/enrollment/rows-file.ts";
import vectors from "../fixtures/dps-vectors.json" with { type: "json" };
import { issue } from "../support/pki.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";
import { thrownBy } from "../support/thrown.ts";

const ek = vectors.registrationIdFromEk[0]?.endorsementKey ?? "";

function written(name: string, content: string | Buffer): string {
  const path = join(temporaryDirectory(), name);
  writeFileSync(path, content);
  return path;
}

const csv = (...lines: string[]): string => written("rows.csv", `${lines.join("\n")}\n`);
const json = (value: unknown): string => written("rows.json", JSON.stringify(value));

const findings = async (file: string, kind: Kind = individual as Kind): Promise<readonly Finding[]> =>
  (await checkFile(file, kind)).findings;

async function rows(file: string, kind: Kind = individual as Kind): Promise<unknown[]> {
  expect(await findings(file, kind)).toEqual([]);
  const read: unknown[] = [];
  const checked = await checkFile(file, kind);
  for await (const { row } of readRows(file, kind, checked)) read.push(row);
  return read;
}

describe("a CSV file of enrollments", () => {
  it.each(["", "\n", "\uFEFF"])(
    "that is empty (%j) is wrong, and one with a header alone has no rows",
    async (content) => {
      expect(await findings(written("rows.csv", content))).toEqual([
        { line: 1, problem: "there is no header" },
      ]);
      expect(await rows(csv("registration_id"))).toEqual([]);
    },
  );

  it("becomes what the service API takes, cell by cell", async () => {
    const file = csv(
      "registration_id,endorsement_key,device_id,status,hub,hubs,allocation,reprovision,edge,initial_twin",
      `gw-1,${ek},one,disabled,,a.example b.example,geo-latency,reset,true,"{""tags"":{""line"":7}}"`,
      `gw-2,${ek},,,a.example,,static,keep,FALSE,`,
    );
    expect(await rows(file)).toEqual([
      {
        registrationId: "gw-1",
        attestation: { type: "tpm", tpm: { endorsementKey: ek } },
        deviceId: "one",
        provisioningStatus: "disabled",
        iotHubs: ["a.example", "b.example"],
        allocationPolicy: "geoLatency",
        reprovisionPolicy: { updateHubAssignment: true, migrateDeviceData: false },
        capabilities: { iotEdge: true },
        initialTwin: { tags: { line: 7 } },
      },
      {
        registrationId: "gw-2",
        attestation: { type: "tpm", tpm: { endorsementKey: ek } },
        iotHubHostName: "a.example",
        allocationPolicy: "static",
        reprovisionPolicy: { updateHubAssignment: false, migrateDeviceData: false },
        capabilities: { iotEdge: false },
      },
    ]);
  });

  it.each([
    ["semicolons", "Registration ID;Attestation\ngw-1;symmetric-key\n"],
    ["tabs and CRLF", "registration_id\tattestation\r\ngw-1\tsymmetricKey\r\n"],
    ["a byte order mark", "\ufeffregistration_id,attestation\ngw-1,symmetricKey\n"],
    ["quotes everywhere and no last line end", '"registration_id","attestation"\n"gw-1","symmetricKey"'],
    ["empty lines", "registration_id,attestation\n\ngw-1,symmetricKey\n\n"],
  ])("may be saved with %s", async (_, content) => {
    expect(await rows(written("rows.csv", content))).toEqual([
      { registrationId: "gw-1", attestation: { type: "symmetricKey", symmetricKey: {} } },
    ]);
  });

  it("takes certificates as PEM and as base64 of DER", async () => {
    const { certificate } = issue(temporaryDirectory(), "gw-1");
    const der = certificate.replaceAll(/-----[^-]+-----|\s/g, "");
    for (const cell of [`"${certificate}"`, der]) {
      const [row] = await rows(csv("registration_id,certificate", `gw-1,${cell}`));
      expect(row).toMatchObject({
        attestation: { type: "x509", x509: { clientCertificates: { primary: { certificate } } } },
      });
    }
  });

  it("names the line where a row begins, below rows of several lines too", async () => {
    const { certificate } = issue(temporaryDirectory(), "gw-1");
    const file = csv(
      "registration_id,certificate,status",
      `gw-1,"${certificate}",`,
      "",
      "gw-2,,on",
      "gw-3,AAAA,",
    );
    const pemLines = certificate.split("\n").length;
    expect((await findings(file)).map(({ line, id }) => [line, id])).toEqual([
      [3 + pemLines, "gw-2"],
      [3 + pemLines, "gw-2"],
      [4 + pemLines, "gw-3"],
    ]);
  });

  it.each<[string, string, string[], RegExp]>([
    [
      "an id that cannot be",
      "registration_id,attestation",
      ["gw 1,symmetricKey"],
      /registration_id: 1 to 128/,
    ],
    ["no id", "registration_id,attestation", [",symmetricKey"], /registration_id: missing/],
    ["nothing to attest with", "registration_id,device_id", ["gw-1,one"], /attestation: missing/],
    ["another attestation", "registration_id,attestation", ["gw-1,none"], /attestation: not tpm, x509/],
    [
      "two ways to attest",
      "registration_id,attestation,endorsement_key,primary_key",
      [`gw-1,tpm,${ek},AAAA`],
      /does not belong to .* tpm/,
    ],
    [
      "a key cut short",
      "registration_id,endorsement_key",
      [`gw-1,${ek.slice(0, 100)}`],
      /endorsement_key: not a complete TPM2B_PUBLIC/,
    ],
    [
      "a key that is no base64",
      "registration_id,endorsement_key",
      ["gw-1,AToAAQ…"],
      /endorsement_key: not base64/,
    ],
    [
      "a certificate that is none",
      "registration_id,certificate",
      ["gw-1,AAAA"],
      /certificate: not a certificate/,
    ],
    [
      "a short symmetric key",
      "registration_id,primary_key",
      ["gw-1,AAAA"],
      /primary_key: not base64 of 16 to 64/,
    ],
    [
      "a hub that is no host",
      "registration_id,attestation,hubs",
      ["gw-1,symmetricKey,a.example b_c"],
      /hubs.*: not a host name/,
    ],
    [
      "a static policy without a hub",
      "registration_id,attestation,allocation",
      ["gw-1,symmetricKey,static"],
      /allocation: static needs one hub/,
    ],
    [
      "a custom policy without a webhook",
      "registration_id,attestation,allocation",
      ["gw-1,symmetricKey,custom"],
      /allocation: custom needs a webhook/,
    ],
    [
      "a twin that is no JSON",
      "registration_id,attestation,initial_twin",
      ["gw-1,symmetricKey,{tags}"],
      /initial_twin: .*JSON/,
    ],
    [
      "a twin of another shape",
      "registration_id,attestation,initial_twin",
      ['gw-1,symmetricKey,"{""tag"":{}}"'],
      /initial_twin\.tag: there is no such member/,
    ],
    [
      "a word that is none",
      "registration_id,attestation,edge",
      ["gw-1,symmetricKey,maybe"],
      /edge: not true \| false/,
    ],
    [
      "too many cells",
      "registration_id,attestation",
      ["gw-1,symmetricKey,more"],
      /3 cells, and the header has 2/,
    ],
    [
      "an unknown column",
      "registration_id,hubb",
      ["gw-1,x"],
      /no column is called "hubb"; there are registration_id/,
    ],
    ["a column twice", "registration_id,hub,hub", ["gw-1,,"], /the column hub is there twice/],
    ["no column of ids", "device_id", ["gw-1"], /the column registration_id is missing/],
    ["a quote that does not end", "registration_id,device_id", ['gw-1,"one'], /Quote/],
  ])("is refused with its reason: %s", async (_, header, lines, reason) => {
    const found = await findings(csv(header, ...lines));
    expect(found).toHaveLength(1);
    expect(found[0]?.problem).toMatch(reason);
  });

  it("has all its mistakes found at once", async () => {
    const file = csv(
      "registration_id,attestation,hub,edge",
      "gw-1,symmetricKey,a_b,",
      "gw-2,,,",
      "GW-1,symmetricKey,,",
      "gw-4,symmetricKey,,sure",
    );
    expect((await findings(file)).map(({ line, problem }) => `${line} ${problem}`)).toEqual([
      "2 hub: not a host name",
      "3 attestation: missing",
      "4 enrollment GW-1 is on line 2 already",
      expect.stringMatching(/^5 edge: /),
    ]);
  });

  it("is told from one in another encoding", async () => {
    const latin = Buffer.from(
      'registration_id,initial_twin\ngw-1,"{""tags"":{""town"":""K\xf6ln""}}"\n',
      "latin1",
    );
    expect((await findings(written("rows.csv", latin)))[0]?.problem).toContain("UTF-8");
  });
});

describe("a CSV file of groups", () => {
  it("has signing certificates, and never a TPM", async () => {
    const ca = issue(temporaryDirectory(), "plant CA", { isCa: true }).certificate;
    const leaf = issue(temporaryDirectory(), "gw-1").certificate;
    const kind = group as Kind;
    expect(await rows(csv("group_id,certificate", `plant,"${ca}"`), kind)).toMatchObject([
      {
        enrollmentGroupId: "plant",
        attestation: { x509: { signingCertificates: { primary: { certificate: ca } } } },
      },
    ]);
    const [found] = await findings(csv("group_id,certificate", `plant,"${leaf}"`), kind);
    expect(found?.problem).toBe("certificate: not the certificate of a CA");
    const [tpm] = await findings(
      json({ enrollmentGroupId: "plant", attestation: { type: "tpm", tpm: { endorsementKey: ek } } }),
      kind,
    );
    expect(tpm?.problem).toBe("attestation.type: a group cannot use tpm; enroll each TPM by itself");
  });
});

describe("a JSON file of enrollments", () => {
  const one = { registrationId: "gw-1", attestation: { type: "symmetricKey" } };
  const two = {
    registrationId: "gw-2",
    attestation: { type: "symmetricKey" },
    initialTwin: { tags: { '}{"': "\\" } },
  };

  it.each([
    ["a list", JSON.stringify([one, two])],
    ["a list on many lines", JSON.stringify([one, two], null, 2)],
    ["one record after the other", `${JSON.stringify(one)}\n${JSON.stringify(two)}\n`],
  ])("may be %s", async (_, content) => {
    expect(await rows(written("rows.json", content))).toMatchObject([one, two]);
  });

  it("is read the same wherever it is cut into pieces", async () => {
    // A file is read in pieces of 256 KiB.
    const many = Array.from({ length: 3000 }, (_, n) => ({
      ...two,
      registrationId: `gw-${n}-${"ö".repeat(0)}`,
    }));
    expect(
      await rows(json(many.map((row) => ({ ...row, initialTwin: { tags: { town: "Köln".repeat(20) } } })))),
    ).toHaveLength(3000);
  });

  it("may have what a service or a tool has added", async () => {
    const told = {
      ...one,
      ...{
        deviceId: null,
        etag: '"x"',
        createdDateTimeUtc: "2026",
        registrationState: { status: "assigned" },
      },
    };
    expect(await rows(json([told]))).toEqual([
      { ...one, attestation: { type: "symmetricKey", symmetricKey: {} } },
    ]);
  });

  it("keeps a null in a twin's own values, where it means something, and no other", async () => {
    const desired = { old: null, deep: { a: null } };
    const initialTwin = { tags: null, properties: { desired } };
    expect(await rows(json([{ ...one, initialTwin }]))).toMatchObject([
      { initialTwin: { properties: { desired } } },
    ]);
  });

  it.each([
    ["cut off in a record", '[{"registrationId":"gw-1"', 1, /cut off/],
    ["cut off between records", `[${JSON.stringify(one)},\n`, 2, /list is cut off/],
    ["something else", "registration_id\n", 1, /where a record was expected/],
    ["a record that is no JSON", '[\n{"a":}\n]', 2, /not JSON/],
    [
      "a member that is none",
      `[${JSON.stringify({ ...one, iotHubHostname: "a.example" })}]`,
      1,
      /iotHubHostname: there is no such member/,
    ],
  ])("is refused with its line: %s", async (_, content, line, reason) => {
    const [found] = await findings(written("rows.json", content));
    expect(found).toMatchObject({ line, problem: expect.stringMatching(reason) });
  });
});

describe("checking a file", () => {
  it("answers with the hash of its bytes, so that another content is noticed", async () => {
    const file = csv("registration_id,attestation", "gw-1,symmetricKey");
    expect(await checkFile(file, individual as Kind)).toEqual({
      rows: 1,
      sha256: createHash("sha256").update(readFileSync(file)).digest("hex"),
      findings: [],
    });
  });

  it("is wrong when it is empty, and not when it is an empty list", async () => {
    expect(await findings(written("rows.json", "\n"))).toEqual([{ line: 1, problem: "there is no record" }]);
    expect(await rows(json([]))).toEqual([]);
  });

  it("says so when the file is not there", async () => {
    expect((await thrownBy(() => checkFile("/nowhere.csv", individual as Kind))).code).toBe("ERR_INPUT");
  });

  it("takes only what can be read twice", async () => {
    expect((await thrownBy(() => checkFile("/dev/null", individual as Kind))).code).toBe("ERR_USAGE");
  });

  it.each([
    ["a row with a mistake", "gw-1,none\n"],
    ["another row", "gw-2,symmetricKey\n"],
    ["no row", ""],
    ["half a row", '"gw-'],
  ])("notices when the file has changed since: %s", async (_, content) => {
    const file = csv("registration_id,attestation", "gw-1,symmetricKey");
    const checked = await checkFile(file, individual as Kind);
    writeFileSync(file, `registration_id,attestation\n${content}`);
    const reading = async (): Promise<void> => {
      for await (const _row of readRows(file, individual as Kind, checked));
    };
    expect((await thrownBy(reading)).code).toBe("ERR_IMPORT_INVALID");
  });

  it("quotes nothing of what it cannot read, for that may be a key", async () => {
    const secret = "c2VjcmV0IHNlY3JldCBzZWNyZXQ";
    const files = [
      written(
        "rows.json",
        `[{"registrationId":"gw-1","attestation":{"symmetricKey":{"primaryKey":"${secret}" x}}}]`,
      ),
      written(
        "rows.json",
        `[{"registrationId":"gw-1","attestation":{"type":"symmetricKey","symmetricKey":{"primaryKey":"${secret}!"}}}]`,
      ),
      csv("registration_id,primary_key", `gw-1,${secret}!`),
      csv("registration_id,initial_twin", `gw-1,{${secret}`),
      csv("registration_id,primary_key", `gw-1,"${secret}"x`),
    ];
    for (const file of files) {
      const found = await findings(file);
      expect(found).not.toEqual([]);
      expect(JSON.stringify(found)).not.toContain(secret.slice(0, 8));
    }
  });
});
