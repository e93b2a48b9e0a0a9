import { existsSync, readFileSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from "vitest";
import { type Enrollments, openServiceClient, type ServiceClient } from "../../src/enrollment/client.ts";
import { parseConnectionString } from "../../src/enrollment/connection-string.ts";
import { exportRows } from "../../src/enrollment/export.ts";
import { type Imported, importRows } from "../../src/enrollment/import.ts";
import {
  type ImportJournal,
  type ImportSubject,
  openImportJournal,
} from "../../src/enrollment/import-journal.ts";
import { group, individual, type Kind } from "../../src/enrollment/kind.ts";
import type { AnyEnrollment, IndividualEnrollment } from "../../src/enrollment/record.ts";
import { checkFile, type FileRow, type Format, readRows } from "../../src/enrollment/rows-file.ts";
import { MooringError } from "../../src/errors.ts";
import type { RunningService } from "../../src/service/service.ts";
import { systemClock } from "../../src/system/clock.ts";
import vectors from "../fixtures/dps-vectors.json" with { type: "json" };
import { directoryOfFile } from "../service/sockets.ts";
import { issue } from "../support/pki.ts";
import { startServiceHere } from "../support/service-in-process.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";
import { thrownBy } from "../support/thrown.ts";

const directory = directoryOfFile();
let service: RunningService;
let client: ServiceClient;

beforeAll(async () => {
  service = await startServiceHere(directory);
  const connection = parseConnectionString(service.connectionString);
  client = openServiceClient({ connection, ca: readFileSync(service.caFile, "utf8"), clock: systemClock });
});
afterAll(async () => {
  client.close();
  await service.stop();
});

const waiting = { signal: new AbortController().signal };
const kind = individual as Kind;
const all = (): Enrollments<AnyEnrollment> => client.enrollments as Enrollments<AnyEnrollment>;
const ek = vectors.registrationIdFromEk[0]?.endorsementKey ?? "";

async function clear(enrollments = all(), idOf = kind.idOf): Promise<void> {
  const ids: string[] = [];
  for await (const row of enrollments.list(waiting)) ids.push(idOf(row));
  for (const id of ids) await enrollments.delete(id, waiting);
}
beforeEach(() => clear());

const row = (id: string, more: Partial<IndividualEnrollment> = {}): IndividualEnrollment => ({
  registrationId: id,
  attestation: { type: "symmetricKey", symmetricKey: {} },
  ...more,
});

const subject = { service: "here", plural: "enrollments", sha256: "00", update: false };

interface Run {
  readonly enrollments?: Enrollments<AnyEnrollment>;
  readonly journalFile?: string;
  readonly update?: boolean;
}

async function imported(
  rows: readonly IndividualEnrollment[],
  { enrollments = all(), journalFile = join(temporaryDirectory(), "journal"), update = false }: Run = {},
): Promise<Imported> {
  const journal = openImportJournal(journalFile, subject, { restart: false });
  const lines = async function* (): AsyncGenerator<FileRow> {
    for (const [index, each] of rows.entries()) yield { line: index + 2, row: each };
  };
  try {
    return await importRows({
      ...{ enrollments, kind, rows: lines(), journal, update, onProgress: () => {} },
      ...waiting,
    });
  } finally {
    journal.close();
  }
}

/** The service, with calls of `bulk` that `happen` counts from 1 and may spoil before or after they arrive. */
function spoiled(happen: (call: number, when: "before" | "after") => void): {
  enrollments: Enrollments<AnyEnrollment>;
  sent: string[][];
} {
  const sent: string[][] = [];
  const enrollments: Enrollments<AnyEnrollment> = {
    ...all(),
    bulk: async (mode, rows, options) => {
      sent.push(rows.map(kind.idOf));
      happen(sent.length, "before");
      const result = await all().bulk(mode, rows, options);
      happen(sent.length, "after");
      return result;
    },
  };
  return { enrollments, sent };
}

const lost = (): never => {
  throw new MooringError("ERR_CONNECTION_LOST", "as if the line broke");
};

const present = async (): Promise<string[]> => {
  const ids: string[] = [];
  for await (const each of all().list(waiting)) ids.push(kind.idOf(each));
  return ids;
};

const ids = (count: number): string[] =>
  Array.from({ length: count }, (_, n) => `gw-${String(n).padStart(3, "0")}`);

describe("an import", () => {
  it("creates every row, ten in a request", async () => {
    const { enrollments, sent } = spoiled(() => {});
    const done = await imported(
      ids(25).map((id) => row(id)),
      { enrollments },
    );
    expect(done).toEqual({ rows: 25, created: 25, updated: 0, alreadyThere: 0, refused: [] });
    expect(sent.map(({ length }) => length)).toEqual([10, 10, 5]);
    expect(await present()).toEqual(ids(25));
  });

  it("accounts for rows that the service refuses, and for those only", async () => {
    await client.enrollments.put("gw-001", row("gw-001", { deviceId: "other" }), waiting);
    const wanted = ids(3).map((id) => row(id, { deviceId: `device-of-${id}` }));
    const done = await imported(wanted);
    expect(done).toMatchObject({
      created: 2,
      refused: [
        { line: 3, id: "gw-001", errorCode: 409000, reason: expect.stringContaining("another deviceId") },
      ],
    });
    expect((await client.enrollments.get("gw-001", waiting)).deviceId).toBe("other");
  });

  it("passes on a conflict that is not about the name, such as a quota", async () => {
    const full = { ...all() };
    full.bulk = async (_mode, rows) => ({
      isSuccessful: false,
      errors: rows.map((each) => ({
        registrationId: kind.idOf(each),
        errorCode: 409000,
        errorStatus: "Quota exceeded",
      })),
    });
    expect(await imported([row("gw-1")], { enrollments: full })).toMatchObject({
      created: 0,
      refused: [{ id: "gw-1", errorCode: 409000, reason: "Quota exceeded" }],
    });
  });

  it("lets nine go in when the service cannot read the tenth", async () => {
    const rows = ids(10).map((id, n) => row(id, n === 4 ? { deviceId: "not/a/device" } : {}));
    const whole = { ...all() };
    // As a service that judges a request as a whole.
    whole.bulk = async (mode, some, options) => {
      if (some.length > 1) throw new MooringError("ERR_ENROLLMENT_REFUSED", "the whole request");
      return all().bulk(mode, some, options);
    };
    const done = await imported(rows, { enrollments: whole });
    expect(done).toMatchObject({ created: 9, refused: [{ line: 6, id: "gw-004" }] });
  });

  it("leaves alone what is there just so, whatever its credential", async () => {
    const certificate = issue(temporaryDirectory(), "gw-x509").certificate;
    const key = Buffer.alloc(32, 7).toString("base64");
    const rows = [
      row("gw-tpm", { attestation: { type: "tpm", tpm: { endorsementKey: ek } }, deviceId: "one" }),
      row("gw-x509", {
        attestation: { type: "x509", x509: { clientCertificates: { primary: { certificate } } } },
      }),
      row("gw-key", { attestation: { type: "symmetricKey", symmetricKey: { primaryKey: key } } }),
      row("gw-any", { initialTwin: { tags: { a: [1, { b: null }] } } }),
    ];
    expect(await imported(rows)).toMatchObject({ created: 4 });
    const before = await Promise.all(
      rows.map((each) => client.enrollments.get(each.registrationId, waiting)),
    );
    expect(await imported(rows)).toMatchObject({ created: 0, alreadyThere: 4, refused: [] });
    expect(await imported(rows, { update: true })).toMatchObject({ alreadyThere: 4, updated: 0 });
    expect(
      await Promise.all(rows.map((each) => client.enrollments.get(each.registrationId, waiting))),
    ).toEqual(before);
  });

  it("updates what differs when it may, and never a credential", async () => {
    const key = (fill: number): string => Buffer.alloc(32, fill).toString("base64");
    const keyed = (id: string, fill: number, more: Partial<IndividualEnrollment> = {}) =>
      row(id, { attestation: { type: "symmetricKey", symmetricKey: { primaryKey: key(fill) } }, ...more });
    await imported([keyed("gw-1", 1), keyed("gw-2", 2), row("gw-3")]);
    const { symmetricKey } = await client.enrollments.attestation("gw-3", waiting);
    const changed = [
      keyed("gw-1", 1, { deviceId: "one" }),
      keyed("gw-2", 9, { deviceId: "two" }),
      row("gw-3", { deviceId: "three" }),
      row("gw-4"),
    ];
    expect(await imported(changed, { update: true })).toMatchObject({
      ...{ created: 1, updated: 2, alreadyThere: 0 },
      refused: [{ line: 3, id: "gw-2", reason: expect.stringContaining("another credential") }],
    });
    expect((await client.enrollments.get("gw-1", waiting)).deviceId).toBe("one");
    expect(await client.enrollments.get("gw-2", waiting)).not.toHaveProperty("deviceId");
    // A key that the service made stays.
    expect((await client.enrollments.attestation("gw-3", waiting)).symmetricKey).toEqual(symmetricKey);
  });
});

describe("an import that is cut off", () => {
  const rows = ids(35).map((id) => row(id));

  it.each(["before", "after"] as const)("goes on where it was: lost %s the request arrived", async (when) => {
    const journalFile = join(temporaryDirectory(), "journal");
    const first = spoiled((call, now) => {
      if (call === 3 && now === when) lost();
    });
    const error = await thrownBy(() => imported(rows, { enrollments: first.enrollments, journalFile }));
    expect(error.code).toBe("ERR_CONNECTION_LOST");

    const second = spoiled(() => {});
    const done = await imported(rows, { enrollments: second.enrollments, journalFile });
    expect(second.sent.flat()).toEqual(ids(35).slice(20));
    expect(done).toMatchObject({ rows: 35, created: when === "before" ? 35 : 25, refused: [] });
    expect(done.created + done.alreadyThere).toBe(35);
    expect(await present()).toEqual(ids(35));
  });

  it("remembers what was refused before", async () => {
    const journalFile = join(temporaryDirectory(), "journal");
    await client.enrollments.put("gw-003", row("gw-003", { deviceId: "other" }), waiting);
    const wanted = ids(15).map((id) => row(id, { deviceId: id }));
    const { enrollments } = spoiled((call) => (call === 2 ? lost() : undefined));
    await thrownBy(() => imported(wanted, { enrollments, journalFile }));
    expect(await imported(wanted, { journalFile })).toMatchObject({
      created: 14,
      refused: [{ line: 5, id: "gw-003" }],
    });
  });

  it("survives a journal whose last line a power cut tore", async () => {
    const journalFile = join(temporaryDirectory(), "journal");
    const { enrollments } = spoiled((call) => (call === 3 ? lost() : undefined));
    await thrownBy(() => imported(rows, { enrollments, journalFile }));
    const text = readFileSync(journalFile, "utf8");
    for (const length of [text.length - 1, text.length - 20, 0]) {
      writeFileSync(journalFile, text.slice(0, length));
      expect((await imported(rows, { journalFile })).refused).toEqual([]);
      expect(await present()).toEqual(ids(35));
    }
  });
});

describe("the journal of an import", () => {
  it("is for its owner alone, and gone when it is not needed any more", () => {
    const file = join(temporaryDirectory(), "journal");
    const journal = openImportJournal(file, subject, { restart: false });
    expect(statSync(file).mode & 0o777).toBe(0o600);
    journal.remove();
    journal.close();
    expect(existsSync(file)).toBe(false);
  });

  it.each(["service", "plural", "sha256"] as const)("is not taken for that of another %s", async (member) => {
    const file = join(temporaryDirectory(), "journal");
    const other = { ...subject, [member]: "another" };
    const opened = (of: ImportSubject, restart = false): ImportJournal => {
      const journal = openImportJournal(file, of, { restart });
      onTestFinished(() => journal.close());
      return journal;
    };
    // One of nothing is in nobody's way.
    opened(other);
    opened(subject).record({ rows: 10, created: 10, updated: 0, alreadyThere: 0 }, []);
    expect((await thrownBy(() => opened(other))).code).toBe("ERR_USAGE");
    expect(opened(subject).before?.tally.rows).toBe(10);
    expect(opened(other, true).before).toBeUndefined();
  });

  it("is written through no symbolic link", async () => {
    const [target, file] = ["target", "journal"].map((name) => join(temporaryDirectory(), name)) as [
      string,
      string,
    ];
    writeFileSync(target, "precious");
    symlinkSync(target, file);
    const error = await thrownBy(() => openImportJournal(file, subject, { restart: true }));
    expect(error.code).toBe("ERR_OUTPUT");
    expect(readFileSync(target, "utf8")).toBe("precious");
  });

  it("says where else it could be when its place is not writable", async () => {
    const error = await thrownBy(() => openImportJournal("/nowhere/journal", subject, { restart: false }));
    expect(error).toMatchObject({ code: "ERR_OUTPUT", hint: expect.stringContaining("--journal") });
  });
});

describe("what is exported and imported again is as it was", () => {
  const exported = async (
    format: Format,
    enrollments: Enrollments<AnyEnrollment>,
    of: Kind,
  ): Promise<string> => {
    let text = "";
    const pieces = exportRows({ enrollments, kind: of, format, keys: true, onRow: () => {}, ...waiting });
    for await (const piece of pieces) text += piece;
    return text;
  };

  const importText = async (
    text: string,
    format: Format,
    enrollments: Enrollments<AnyEnrollment>,
    of: Kind,
  ): Promise<void> => {
    const folder = temporaryDirectory();
    const file = join(folder, `rows.${format}`);
    writeFileSync(file, text);
    const checked = await checkFile(file, of);
    expect(checked.findings).toEqual([]);
    const journal = openImportJournal(join(folder, "journal"), subject, { restart: false });
    const rows = readRows(file, of, checked);
    const done = await importRows({
      enrollments,
      kind: of,
      rows,
      journal,
      update: false,
      onProgress: () => {},
      ...waiting,
    });
    journal.close();
    expect(done).toMatchObject({ created: checked.rows, refused: [] });
  };

  // Ids and device ids that spreadsheets would take for formulas, too.
  const id = fc.stringMatching(/^[-A-Za-z0-9._:]{0,20}[A-Za-z0-9-]$/);
  const deviceId = fc.oneof(
    fc.stringMatching(/^[A-Za-z0-9\-.%_*?!(),:=@$']{1,20}$/),
    fc.constantFrom("=cmd()", "@x", "-1", "'=x", "''", "'"),
  );
  const twin = fc.record({
    tags: fc.dictionary(fc.stringMatching(/^[a-z ,;"\n]{1,6}$/), fc.jsonValue({ maxDepth: 2 })),
  });
  const maybe = <Value>(value: fc.Arbitrary<Value>) => fc.option(value, { nil: undefined });
  const settings = fc.record({
    deviceId: maybe(deviceId),
    provisioningStatus: maybe(fc.constantFrom("enabled" as const, "disabled" as const)),
    capabilities: maybe(fc.record({ iotEdge: fc.boolean() })),
    initialTwin: maybe(twin),
    iotHubHostName: maybe(fc.constant("a.example")),
    iotHubs: maybe(fc.constant(["a.example", "b.example"])),
    allocationPolicy: maybe(fc.constantFrom("hashed" as const, "geoLatency" as const)),
    reprovisionPolicy: maybe(
      fc.constantFrom(
        { updateHubAssignment: true, migrateDeviceData: true },
        { updateHubAssignment: true, migrateDeviceData: false },
        { updateHubAssignment: false, migrateDeviceData: false },
      ),
    ),
  });
  const attestation = fc.constantFrom<IndividualEnrollment["attestation"]>(
    { type: "tpm", tpm: { endorsementKey: ek } },
    { type: "symmetricKey", symmetricKey: {} },
    {
      type: "symmetricKey",
      symmetricKey: {
        primaryKey: Buffer.alloc(16, 1).toString("base64"),
        secondaryKey: Buffer.alloc(64, 0xfb).toString("base64"),
      },
    },
  );

  it.each(["csv", "json"] as const)("as %s, whatever individual enrollments there are", async (format) => {
    const enrollment = fc.tuple(id, attestation, settings);
    await fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(enrollment, { maxLength: 12, selector: ([name]) => name.toLowerCase() }),
        async (some) => {
          await clear();
          for (const [registrationId, how, more] of some)
            await client.enrollments.put(
              registrationId,
              { registrationId, attestation: how, ...more } as IndividualEnrollment,
              waiting,
            );
          const before = await exported("json", all(), kind);
          const text = await exported(format, all(), kind);
          await clear();
          await importText(text, format, all(), kind);
          expect(await exported("json", all(), kind)).toBe(before);
        },
      ),
      { numRuns: 15 },
    );
  });

  it.each(["csv", "json"] as const)("as %s, with certificates", async (format) => {
    const [first, second] = [1, 2].map(() => issue(temporaryDirectory(), "gw-1").certificate);
    await client.enrollments.put(
      "gw-1",
      row("gw-1", {
        attestation: {
          type: "x509",
          x509: {
            clientCertificates: {
              primary: { certificate: first ?? "" },
              secondary: { certificate: second ?? "" },
            },
          },
        },
      }),
      waiting,
    );
    const before = await client.enrollments.attestation("gw-1", waiting);
    const text = await exported(format, all(), kind);
    await clear();
    await importText(text, format, all(), kind);
    expect(await client.enrollments.attestation("gw-1", waiting)).toEqual(before);
  });

  it.each(["csv", "json"] as const)("as %s, groups too", async (format) => {
    const groups = client.enrollmentGroups as Enrollments<AnyEnrollment>;
    const of = group as Kind;
    onTestFinished(() => clear(groups, of.idOf));
    const ca = issue(temporaryDirectory(), "plant CA", { isCa: true }).certificate;
    await groups.put(
      "plant",
      {
        enrollmentGroupId: "plant",
        attestation: { type: "x509", x509: { signingCertificates: { primary: { certificate: ca } } } },
        iotHubs: ["a.example"],
      },
      waiting,
    );
    await groups.put("keyed", { enrollmentGroupId: "keyed", attestation: { type: "symmetricKey" } }, waiting);
    const before = await exported("json", groups, of);
    const text = await exported(format, groups, of);
    await clear(groups, of.idOf);
    await importText(text, format, groups, of);
    expect(await exported("json", groups, of)).toBe(before);
  });
});
