import { afterAll, describe, expect, it } from "vitest";
import type { Permission } from "../../src/service/records.ts";
import vectors from "../fixtures/dps-vectors.json" with { type: "json" };
import { certificateWorkshop } from "./certificates.ts";
import { type Call, host, type Options, openCounter } from "./counter.ts";
import { sasToken } from "./desk.ts";

const workshop = certificateWorkshop();
afterAll(() => workshop[Symbol.dispose]());
const certificate = workshop.issue("/O=Acme/CN=gw-1").pem;
const renewed = workshop.issue("/O=Acme/CN=gw-1").pem;
const ca = workshop.issue("/O=Acme/CN=Acme Root", { ca: true }).pem;

const endorsementKey = vectors.registrationIdFromEk[0]?.endorsementKey ?? "";
const tpm = { attestation: { type: "tpm", tpm: { endorsementKey } } };
const x509 = { attestation: { type: "x509", x509: { clientCertificates: { primary: { certificate } } } } };
const caGroup = {
  attestation: { type: "x509", x509: { signingCertificates: { primary: { certificate: ca } } } },
};
const symmetric = { attestation: { type: "symmetricKey" } };

describe("an individual enrollment", () => {
  it("is created with Azure's defaults, read, and deleted", async () => {
    const { call } = await openCounter();
    const created = await call("PUT", "/enrollments/gw-1", { registrationId: "gw-1", ...tpm });
    expect(created.status).toBe(200);
    expect(created.headers["content-type"]).toContain("application/json");
    expect(created.headers["x-ms-request-id"]).toMatch(/^[0-9a-f-]{36}$/);
    expect(created.body).toEqual({
      registrationId: "gw-1",
      ...tpm,
      capabilities: { iotEdge: false },
      etag: expect.stringMatching(/^"[0-9a-f-]{36}"$/),
      provisioningStatus: "enabled",
      reprovisionPolicy: { updateHubAssignment: true, migrateDeviceData: true },
      createdDateTimeUtc: expect.stringMatching(/\.\d{7}Z$/),
      lastUpdatedDateTimeUtc: created.body.createdDateTimeUtc,
    });
    expect(await call("GET", "/enrollments/GW-1")).toMatchObject({ status: 200, body: created.body });
    expect(await call("DELETE", "/enrollments/gw-1")).toMatchObject({ status: 204, body: undefined });
    expect(await call("GET", "/enrollments/gw-1")).toMatchObject({
      status: 404,
      body: { errorCode: 404201 },
    });
    expect((await call("DELETE", "/enrollments/gw-1")).status).toBe(404);
  });

  it("keeps every setting that it is given", async () => {
    const { call } = await openCounter();
    const settings = {
      deviceId: "Gateway-1",
      optionalDeviceInformation: { rack: 5 },
      capabilities: { iotEdge: true },
      initialTwin: { tags: { site: "north" }, properties: { desired: { interval: 5 } } },
      provisioningStatus: "disabled",
      reprovisionPolicy: { updateHubAssignment: false, migrateDeviceData: false },
      allocationPolicy: "static",
      iotHubHostName: "one.example",
    };
    const { body } = await call("PUT", "/enrollments/gw-1", { ...tpm, ...settings });
    expect(body).toMatchObject(settings);
    expect((await call("PUT", "/enrollments/gw-1", tpm)).body).not.toHaveProperty("deviceId");
  });

  it("may be named in the address with percent signs, and only there", async () => {
    const { call } = await openCounter();
    expect((await call("PUT", "/enrollments/plant%3Agw-1", tpm)).body.registrationId).toBe("plant:gw-1");
  });

  it("shows what became of its device", async () => {
    const { call, ask, token, enroll } = await openCounter();
    const row = enroll("gw-1", symmetric);
    const { primaryKey } =
      row.attestation.type === "symmetricKey" ? row.attestation.symmetricKey : expect.fail();
    await ask({ registrationId: "gw-1", authorization: token("gw-1", primaryKey) });
    expect((await call("GET", "/enrollments/gw-1")).body.registrationState).toMatchObject({
      status: "assigned",
      deviceId: "gw-1",
    });
    await call("DELETE", "/enrollments/gw-1");
    expect((await call("GET", "/registrations/gw-1")).status).toBe(404);
  });

  it("takes no registration with it that a group has let in", async () => {
    const { call, enroll, store } = await openCounter();
    store.registrations.put({
      registrationId: "gw-1",
      enrollmentGroupId: "plant",
      attestation: "x509",
      status: "assigned",
      createdDateTimeUtc: "",
      lastUpdatedDateTimeUtc: "",
      etag: "",
    });
    enroll("gw-1", { ...symmetric, provisioningStatus: "disabled" });
    expect((await call("DELETE", "/enrollments/gw-1")).status).toBe(204);
    expect((await call("GET", "/registrations/gw-1")).body.x509).toEqual({ enrollmentGroupId: "plant" });
  });

  it("describes its certificates in place of showing them", async () => {
    const { call } = await openCounter();
    await call("PUT", "/enrollments/gw-1", x509);
    const { primary } = (await call("GET", "/enrollments/gw-1")).body.attestation.x509.clientCertificates;
    expect(primary).toEqual({
      info: {
        subjectName: "CN=gw-1, O=Acme",
        issuerName: "CN=gw-1, O=Acme",
        sha1Thumbprint: expect.stringMatching(/^[0-9A-F]{40}$/),
        sha256Thumbprint: expect.stringMatching(/^[0-9A-F]{64}$/),
        notBeforeUtc: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/),
        notAfterUtc: expect.stringMatching(/Z$/),
        serialNumber: expect.stringMatching(/^[0-9A-F]+$/),
        version: 3,
      },
    });
  });

  it.each([
    ["PEM", certificate],
    ["base64 of PEM, as the C SDK sends it", Buffer.from(certificate).toString("base64")],
    ["base64 of DER", certificate.replaceAll(/-----.*-----|\n/g, "")],
  ])("takes a certificate as %s", async (_, text) => {
    const { call } = await openCounter();
    const body = {
      attestation: { type: "x509", x509: { clientCertificates: { primary: { certificate: text } } } },
    };
    expect((await call("PUT", "/enrollments/gw-1", body)).status).toBe(200);
  });

  it("can be read, changed and written back by tools that never saw its certificates or keys", async () => {
    const { call } = await openCounter();
    for (const [id, body] of [
      ["gw-1", x509],
      ["gw-2", symmetric],
    ] as const) {
      await call("PUT", `/enrollments/${id}`, body);
      const before = (await call("POST", `/enrollments/${id}/attestationmechanism`)).body;
      const read = (await call("GET", `/enrollments/${id}`)).body;
      const written = await call("PUT", `/enrollments/${id}`, { ...read, provisioningStatus: "disabled" });
      expect(written).toMatchObject({ status: 200, body: { provisioningStatus: "disabled" } });
      expect((await call("POST", `/enrollments/${id}/attestationmechanism`)).body).toEqual(before);
    }
  });

  it("rolls over from one certificate to the next", async () => {
    const { call } = await openCounter();
    await call("PUT", "/enrollments/gw-1", x509);
    const { primary } = (await call("GET", "/enrollments/gw-1")).body.attestation.x509.clientCertificates;
    const both = { primary, secondary: { certificate: renewed } };
    const { body } = await call("PUT", "/enrollments/gw-1", {
      attestation: { type: "x509", x509: { clientCertificates: both } },
    });
    const { secondary } = body.attestation.x509.clientCertificates;
    const last = { attestation: { type: "x509", x509: { clientCertificates: { primary: secondary } } } };
    expect((await call("PUT", "/enrollments/gw-1", last)).body.attestation.x509.clientCertificates).toEqual({
      primary: secondary,
    });
  });

  it("makes symmetric keys of 64 bytes, and shows them to those who may write", async () => {
    const { call } = await openCounter();
    await call("PUT", "/enrollments/gw-1", symmetric);
    expect((await call("GET", "/enrollments/gw-1")).body.attestation).toEqual({
      type: "symmetricKey",
      symmetricKey: {},
    });
    const { body } = await call("POST", "/enrollments/gw-1/attestationmechanism", "");
    expect(Buffer.from(body.symmetricKey.primaryKey, "base64")).toHaveLength(64);
    expect(body.symmetricKey.secondaryKey).not.toBe(body.symmetricKey.primaryKey);
    const query = await call("POST", "/enrollments/query", { query: "*" });
    expect(JSON.stringify(query.body)).not.toContain(body.symmetricKey.primaryKey);
  });
});

describe("If-Match", () => {
  it.each<[string, (etag: string) => string]>([
    ["as it was given", (etag) => etag],
    ["without quotes", (etag) => etag.replaceAll('"', "")],
    ["in one more pair of quotes", (etag) => `"${etag}"`],
    ["as a star", () => "*"],
  ])("lets the present version be changed and deleted: %s", async (_, write) => {
    const { call } = await openCounter();
    const { etag } = (await call("PUT", "/enrollments/gw-1", tpm)).body;
    const changed = await call("PUT", "/enrollments/gw-1", tpm, { headers: { "if-match": write(etag) } });
    expect(changed.status).toBe(200);
    const options = { headers: { "if-match": write(changed.body.etag) } };
    expect((await call("DELETE", "/enrollments/gw-1", undefined, options)).status).toBe(204);
  });

  it("stops whoever has seen another version, or one that is gone", async () => {
    const { call } = await openCounter();
    const { etag } = (await call("PUT", "/enrollments/gw-1", tpm)).body;
    await call("PUT", "/enrollments/gw-1", tpm);
    const stale = { headers: { "if-match": etag } };
    expect(await call("PUT", "/enrollments/gw-1", tpm, stale)).toMatchObject({
      status: 412,
      body: { errorCode: 412000 },
    });
    expect((await call("DELETE", "/enrollments/gw-1", undefined, stale)).status).toBe(412);
    await call("DELETE", "/enrollments/gw-1");
    expect((await call("PUT", "/enrollments/gw-1", tpm, stale)).status).toBe(412);
    expect((await call("GET", "/enrollments/gw-1")).status).toBe(404);
  });
});

describe("a bad enrollment is refused with 400 and the member's name", () => {
  it.each<[string, unknown]>([
    ["body: ", "[]"],
    ["not valid JSON", "{"],
    ["attestation: ", {}],
    ["attestation.type: ", { attestation: { type: "none" } }],
    ["attestation.tpm: missing", { attestation: { type: "tpm" } }],
    [
      "attestation.tpm.endorsementKey: ",
      { attestation: { type: "tpm", tpm: { endorsementKey: "AToAAQ==" } } },
    ],
    ["attestation.x509.clientCertificates: missing", { attestation: { type: "x509", x509: {} } }],
    [
      "attestation.x509.clientCertificates.primary: missing",
      { attestation: { type: "x509", x509: { clientCertificates: {} } } },
    ],
    [
      "attestation.x509.clientCertificates.primary.certificate: ",
      { attestation: { type: "x509", x509: { clientCertificates: { primary: { certificate: "no" } } } } },
    ],
    [
      'attestation.x509.clientCertificates.primary: its subject CN is "Acme Root"',
      { attestation: { type: "x509", x509: { clientCertificates: { primary: { certificate: ca } } } } },
    ],
    ["attestation.x509.signingCertificates: ", caGroup],
    [
      "attestation.x509.caReferences: ",
      { attestation: { type: "x509", x509: { caReferences: { primary: "ca" } } } },
    ],
    [
      "attestation.symmetricKey.primaryKey: not base64",
      { attestation: { type: "symmetricKey", symmetricKey: { primaryKey: "?" } } },
    ],
    [
      "attestation.symmetricKey.secondaryKey: not 16 to 64",
      { attestation: { type: "symmetricKey", symmetricKey: { secondaryKey: "AAAA" } } },
    ],
    [
      "attestation.symmetricKey.primaryKey: not 16 to 64",
      { attestation: { type: "symmetricKey", symmetricKey: { primaryKey: "AAAA".repeat(22) } } },
    ],
    ["registrationId: ", { ...tpm, registrationId: "gw-2" }],
    ["deviceId: ", { ...tpm, deviceId: "no spaces" }],
    ["initialTwin.tags: ", { ...tpm, initialTwin: { tags: [] } }],
    ["initialTwin.properties.desired: ", { ...tpm, initialTwin: { properties: { desired: 5 } } }],
    ["provisioningStatus: ", { ...tpm, provisioningStatus: "on" }],
    ["reprovisionPolicy.migrateDeviceData: ", { ...tpm, reprovisionPolicy: { updateHubAssignment: true } }],
    ["allocationPolicy: ", { ...tpm, allocationPolicy: "nearest" }],
    ["iotHubHostName: not a host name", { ...tpm, iotHubHostName: "https://x" }],
    ["iotHubs.1: not a host name", { ...tpm, iotHubs: ["a.example", "-"] }],
    ["iotHubs: more than 50", { ...tpm, iotHubs: Array.from({ length: 51 }, (_, n) => `hub${n}.example`) }],
    [
      "iotHubs: the static policy",
      { ...tpm, allocationPolicy: "static", iotHubs: ["a.example", "b.example"] },
    ],
    ["customAllocationDefinition: ", { ...tpm, allocationPolicy: "custom" }],
  ])("%s", async (named, body) => {
    const { call, store } = await openCounter();
    const answer = await call("PUT", "/enrollments/gw-1", body);
    expect(answer).toMatchObject({ status: 400, body: { errorCode: 400000 } });
    expect(answer.body.message).toContain(named);
    expect(answer.body.trackingId).toBe(answer.headers["x-ms-request-id"]);
    expect(store.enrollments.get("gw-1")).toBeUndefined();
  });

  it.each(["gw%20x", "gw.", "%C3%A4", "g".repeat(129)])("registrationId: %s", async (id) => {
    const { call } = await openCounter();
    const answer = await call("PUT", `/enrollments/${id}`, tpm);
    expect(answer.status).toBe(400);
    expect(answer.body.message).toContain("registrationId");
  });

  it("when the type of attestation would change", async () => {
    const { call } = await openCounter();
    await call("PUT", "/enrollments/gw-1", tpm);
    expect((await call("PUT", "/enrollments/gw-1", x509)).body.message).toContain("attestation.type");
  });
});

describe("an enrollment group", () => {
  it("is created, read in any case of its path, and deleted; registrations stay", async () => {
    const { call, store } = await openCounter();
    expect((await call("PUT", "/enrollmentGroups/Plant", caGroup)).body).toMatchObject({
      enrollmentGroupId: "Plant",
    });
    expect(
      (await call("GET", "/enrollmentgroups/plant")).body.attestation.x509.signingCertificates.primary,
    ).toHaveProperty("info");
    expect(
      (await call("POST", "/enrollmentgroups/plant/attestationmechanism")).body.x509.signingCertificates
        .primary,
    ).toHaveProperty("certificate");
    const state = {
      registrationId: "gw-1",
      enrollmentGroupId: "Plant",
      attestation: "x509",
      status: "assigned",
      etag: "",
    } as const;
    store.registrations.put({ ...state, createdDateTimeUtc: "", lastUpdatedDateTimeUtc: "" });
    expect((await call("DELETE", "/ENROLLMENTGROUPS/plant")).status).toBe(204);
    expect((await call("GET", "/registrations/gw-1")).status).toBe(200);
  });

  it.each<[string, unknown]>([
    ["attestation.type: a group cannot use tpm", tpm],
    ["attestation.x509.clientCertificates: ", x509],
    [
      "attestation.x509.signingCertificates.primary: not a CA",
      { attestation: { type: "x509", x509: { signingCertificates: { primary: { certificate } } } } },
    ],
    ["deviceId: ", { ...caGroup, deviceId: "x" }],
    ["enrollmentGroupId: ", { ...caGroup, enrollmentGroupId: "other" }],
  ])("is refused: %s", async (named, body) => {
    const { call } = await openCounter();
    const answer = await call("PUT", "/enrollmentGroups/plant", body);
    expect(answer.status).toBe(400);
    expect(answer.body.message).toContain(named);
  });

  it("has at most ninety-nine siblings of its type", async () => {
    const { call, enrollGroup } = await openCounter();
    for (let n = 0; n < 100; n++) enrollGroup(`g${n}`, symmetric);
    expect(await call("PUT", "/enrollmentGroups/g100", symmetric)).toMatchObject({
      status: 409,
      body: { errorCode: 409000 },
    });
    expect((await call("PUT", "/enrollmentGroups/g99", symmetric)).status).toBe(200);
    expect((await call("PUT", "/enrollmentGroups/plant", caGroup)).status).toBe(200);
  });
});

describe("a query", () => {
  it("comes in pages; the last one has no continuation", async () => {
    const { call, enroll } = await openCounter();
    for (const id of ["c", "A", "b", "E", "d"]) enroll(id, symmetric);
    const seen: string[][] = [];
    let continuation: string | undefined;
    do {
      const headers = {
        "x-ms-max-item-count": "2",
        ...(continuation && { "x-ms-continuation": continuation }),
      };
      const answer = await call(
        "POST",
        "/enrollments/query",
        { query: "SELECT * FROM enrollments" },
        { headers },
      );
      expect(answer.headers).toMatchObject({ "x-ms-item-type": "Enrollment", "x-ms-max-item-count": "2" });
      seen.push(answer.body.map(({ registrationId }: { registrationId: string }) => registrationId));
      continuation = answer.headers["x-ms-continuation"] as string | undefined;
    } while (continuation);
    expect(seen).toEqual([["A", "b"], ["c", "d"], ["E"]]);
  });

  it("that ends with a full page has no page after it", async () => {
    const { call, enroll } = await openCounter();
    for (const id of ["a", "b"]) enroll(id, symmetric);
    const { headers } = await call(
      "POST",
      "/enrollments/query",
      { query: "*" },
      { headers: { "x-ms-max-item-count": "2" } },
    );
    expect(headers["x-ms-continuation"]).toBeUndefined();
  });

  it("goes on with a page of another size, and with nothing but the same list", async () => {
    const { call, enroll, enrollGroup, store } = await openCounter();
    for (const id of ["a", "b", "c", "d"]) enroll(id, symmetric);
    enrollGroup("plant", symmetric);
    const ask = (path: string, size: string, continuation?: string) =>
      call("POST", path, undefined, {
        headers: {
          "x-ms-max-item-count": size,
          ...(continuation !== undefined && { "x-ms-continuation": continuation }),
        },
      });
    const next = (await ask("/enrollments/query", "1")).headers["x-ms-continuation"] as string;
    expect((await ask("/Enrollments/query", "3", next)).body).toHaveLength(3);
    expect((await ask("/enrollmentGroups/query", "3", next)).status).toBe(400);

    for (const registrationId of ["a", "b"])
      store.registrations.put({
        registrationId,
        enrollmentGroupId: "plant",
        attestation: "symmetricKey",
        status: "assigned",
        createdDateTimeUtc: "",
        lastUpdatedDateTimeUtc: "",
        etag: "",
      });
    const rest = (await ask("/registrations/plant/query", "1")).headers["x-ms-continuation"] as string;
    expect((await ask("/registrations/PLANT/query", "5", rest)).body).toHaveLength(1);
    expect((await ask("/registrations/other/query", "5", rest)).status).toBe(400);
  });

  it.each(["*", "SELECT * FROM enrollmentGroups", "select * from ENROLLMENTGROUPS;", "SELECT *"])(
    "is understood: %s",
    async (query) => {
      const { call, enrollGroup } = await openCounter();
      enrollGroup("plant", symmetric);
      const answer = await call("POST", "/enrollmentGroups/query", { query });
      expect(answer.body).toHaveLength(1);
      expect(answer.headers["x-ms-item-type"]).toBe("EnrollmentGroup");
    },
  );

  it.each<[unknown, Record<string, string>]>([
    [{ query: "SELECT * FROM devices" }, {}],
    [{ query: "SELECT * FROM enrollments WHERE x = 'y'" }, {}],
    [{ query: 5 }, {}],
    [{ query: "*" }, { "x-ms-max-item-count": "0" }],
    [{ query: "*" }, { "x-ms-max-item-count": "many" }],
    [{ query: "*" }, { "x-ms-continuation": "made-up" }],
  ])("is refused: %j %j", async (body, headers) => {
    const { call } = await openCounter();
    expect((await call("POST", "/enrollments/query", body, { headers })).status).toBe(400);
  });

  it("finds the registrations of a group, with a body or without", async () => {
    const { call, store } = await openCounter();
    for (const [id, group] of [
      ["gw-1", "Plant"],
      ["gw-2", "plant"],
      ["gw-3", "other"],
    ] as const) {
      store.registrations.put({
        registrationId: id,
        enrollmentGroupId: group,
        attestation: "x509",
        status: "assigned",
        assignedHub: "one.example",
        deviceId: id,
        createdDateTimeUtc: "",
        lastUpdatedDateTimeUtc: "",
        etag: "",
      });
    }
    // The last two are those of Azure's samples.
    const queries = [
      "*",
      "SELECT * FROM registrations",
      "select * from enrollments",
      "SELECT * FROM enrollmentGroups",
    ];
    for (const body of [undefined, "", ...queries.map((query) => ({ query }))]) {
      const answer = await call("POST", "/registrations/PLANT/query", body);
      expect(answer.headers["x-ms-item-type"]).toBe("DeviceRegistration");
      expect(answer.body.map(({ registrationId }: { registrationId: string }) => registrationId)).toEqual([
        "gw-1",
        "gw-2",
      ]);
      expect(answer.body[0]).toMatchObject({
        x509: { enrollmentGroupId: "Plant" },
        assignedHub: "one.example",
      });
    }
  });
});

describe("a registration record", () => {
  it("is read, and deleted if nobody changed it", async () => {
    const { call, store } = await openCounter();
    store.registrations.put({
      registrationId: "Gw-1",
      attestation: "tpm",
      status: "assigned",
      createdDateTimeUtc: "",
      lastUpdatedDateTimeUtc: "",
      etag: '"e"',
      devicePayload: { secret: 1 },
    });
    const { body } = await call("GET", "/registrations/gw-1");
    expect(body).toMatchObject({ registrationId: "Gw-1", status: "assigned" });
    expect(body).not.toHaveProperty("devicePayload");
    expect(
      (await call("DELETE", "/registrations/gw-1", undefined, { headers: { "if-match": "other" } })).status,
    ).toBe(412);
    expect(
      (await call("DELETE", "/registrations/gw-1", undefined, { headers: { "if-match": body.etag } })).status,
    ).toBe(204);
    expect(await call("GET", "/registrations/gw-1")).toMatchObject({
      status: 404,
      body: { errorCode: 404202 },
    });
  });
});

describe("a bulk request", () => {
  const items = (...ids: string[]) => ids.map((registrationId) => ({ registrationId, ...tpm }));

  it("creates up to ten, each by itself", async () => {
    const { call } = await openCounter();
    expect(
      await call("POST", "/enrollments/", { mode: "create", enrollments: items("a", "b") }),
    ).toMatchObject({
      status: 200,
      body: { isSuccessful: true, errors: [] },
    });
    const second = await call("POST", "/enrollments", {
      mode: "create",
      enrollments: [...items("b", "c"), { registrationId: "d" }],
    });
    expect(second.body).toEqual({
      isSuccessful: false,
      errors: [
        { registrationId: "b", errorCode: 409000, errorStatus: expect.any(String) },
        { registrationId: "d", errorCode: 400000, errorStatus: expect.stringContaining("attestation") },
      ],
    });
    expect((await call("GET", "/enrollments/c")).status).toBe(200);
  });

  it("updates what there is, and with an etag only what was seen", async () => {
    const { call } = await openCounter();
    await call("POST", "/enrollments", { mode: "create", enrollments: items("a") });
    const { etag } = (await call("GET", "/enrollments/a")).body;
    const update = async (mode: string, item: object) =>
      (await call("POST", "/enrollments", { mode, enrollments: [item] })).body.errors[0]?.errorCode;
    const [a, b] = items("a", "b");
    expect(await update("update", { ...a, etag: "stale" })).toBeUndefined();
    expect(await update("update", { ...b })).toBe(404201);
    expect(await update("updateIfMatchETag", { ...a, etag })).toBe(412000);
    expect(await update("updateIfMatchETag", { ...a })).toBe(400000);
    const { etag: present } = (await call("GET", "/enrollments/a")).body;
    expect(await update("updateIfMatchEtag", { ...a, etag: present })).toBeUndefined();
  });

  it("deletes", async () => {
    const { call } = await openCounter();
    await call("POST", "/enrollmentGroups/", {
      mode: "create",
      enrollmentGroups: [{ enrollmentGroupId: "g", ...caGroup }],
    });
    const remove = {
      mode: "delete",
      enrollmentGroups: [{ enrollmentGroupId: "G" }, { enrollmentGroupId: "h" }],
    };
    expect((await call("POST", "/enrollmentgroups", remove)).body).toEqual({
      isSuccessful: false,
      errors: [{ enrollmentGroupId: "h", errorCode: 404201, errorStatus: expect.any(String) }],
    });
  });

  it.each<[string, unknown]>([
    ["mode", { enrollments: [] }],
    ["mode", { mode: "replace", enrollments: items("a") }],
    ["enrollments", { mode: "create" }],
    ["enrollments", { mode: "create", enrollments: [] }],
    ["enrollments", { mode: "create", enrollments: items(..."abcdefghijk") }],
    ["registrationId", { mode: "create", enrollments: [{}] }],
  ])("is refused as a whole for its %s", async (named, body) => {
    const { call, store } = await openCounter();
    const answer = await call("POST", "/enrollments", body);
    expect(answer.status).toBe(400);
    expect(answer.body.message).toContain(named);
    expect(store.enrollments.page({ limit: 5 })).toEqual([]);
  });
});

describe("an address of the service API", () => {
  it.each([
    ["PATCH", "/enrollments/gw-1", "PUT, GET, DELETE"],
    ["DELETE", "/enrollments", "POST"],
    ["GET", "/enrollmentGroups/plant/attestationmechanism", "POST"],
    ["PUT", "/registrations/gw-1", "GET, DELETE"],
  ])("refuses a method that it does not have: %s %s", async (method, path, allow) => {
    const { call } = await openCounter();
    const answer = await call(method as "GET", path);
    expect(answer).toMatchObject({ status: 405, headers: { allow }, body: { errorCode: 405000 } });
  });

  it("may look like a query and be an enrollment's", async () => {
    const { call } = await openCounter();
    expect((await call("PUT", "/enrollments/query", symmetric)).status).toBe(200);
    expect((await call("GET", "/enrollments/query")).body.registrationId).toBe("query");
  });
});

describe("the service API is open", () => {
  it.each<[string, Options]>([
    ["to a token for the host", { resource: host }],
    ["to a token for the host with its port, in another case", { resource: "DPS.example%3A443" }],
    ["to a token for a part of the API", { resource: "dps.example%2Fenrollments" }],
    ["to a token for one record, encoded in lower case", { resource: "dps.example%2fEnrollments%2fgw-1" }],
    [
      "to a token whose expiry is in milliseconds, as Azure's Node SDK writes it",
      { expiry: "1795392000000" },
    ],
    ["with an older api-version", { version: "2018-04-01" }],
  ])("%s", async (_, options) => {
    const { call, enroll } = await openCounter();
    enroll("gw-1", symmetric);
    expect((await call("GET", "/enrollments/gw-1", undefined, options)).status).toBe(200);
  });

  it.each<[string, number, Options]>([
    ["without a token", 401002, { authorization: "" }],
    ["with a bearer token", 401002, { authorization: "Bearer abc" }],
    ["with a token of no policy", 401002, { policy: "nobody" }],
    [
      "with a wrong key",
      401002,
      {
        authorization: sasToken({
          resource: host,
          key: "AAAA",
          expiry: "4102444800",
          keyName: "provisioningserviceowner",
        }),
      },
    ],
    ["with a token that ran out", 401002, { expiry: "1000" }],
    ["with a token for another host", 401002, { resource: "other.example" }],
    ["with a token for another part", 401002, { resource: "dps.example%2FenrollmentGroups" }],
    ["with a token for a name that merely begins alike", 401002, { resource: "dps.example%2Fenroll" }],
    ["with a policy that lacks the permission", 403000, { policy: "registrationstatusread" }],
    ["without an api-version", 400000, { version: "" }],
    ["with an unknown api-version", 400000, { version: "2000-01-01" }],
    ["with two api-versions", 400000, { version: "2021-10-01&api-version=2021-10-01" }],
  ])("not %s", async (_, errorCode, options) => {
    const { call, enroll } = await openCounter();
    enroll("gw-1", symmetric);
    const answer = await call("GET", "/enrollments/gw-1", undefined, options);
    expect(answer).toMatchObject({ status: Math.floor(errorCode / 1000), body: { errorCode } });
    expect(answer.body.timestampUtc).toMatch(/Z$/);
  });

  it("to each policy for what it permits, and no more", async () => {
    const { call, store } = await openCounter();
    const needs: [Permission, Parameters<Call>][] = [
      ["EnrollmentWrite", ["PUT", "/enrollments/gw-1", tpm]],
      ["EnrollmentRead", ["GET", "/enrollments/gw-1"]],
      ["EnrollmentRead", ["POST", "/enrollments/query", { query: "*" }]],
      ["EnrollmentWrite", ["POST", "/enrollments/gw-1/attestationmechanism"]],
      ["EnrollmentWrite", ["POST", "/enrollments", { mode: "create", enrollments: [] }]],
      ["RegistrationStatusRead", ["GET", "/registrations/gw-1"]],
      ["RegistrationStatusRead", ["POST", "/registrations/g/query"]],
      ["RegistrationStatusWrite", ["DELETE", "/registrations/gw-1"]],
      ["EnrollmentWrite", ["DELETE", "/enrollments/gw-1"]],
    ];
    for (const [permission, [method, path, body]] of needs) {
      for (const { name, permissions } of store.policies.all()) {
        const { status } = await call(method, path, body, { policy: name });
        expect(status === 403, `${name}: ${method} ${path}`).toBe(!permissions.includes(permission));
      }
    }
  });

  it("and never logs a key", async () => {
    const { call, log } = await openCounter();
    const { body } = await call("PUT", "/enrollments/gw-1", symmetric);
    await call("PUT", "/enrollments/gw-1", tpm);
    const logged = JSON.stringify(log.events);
    expect(logged).toContain("enrollment.saved");
    expect(logged).not.toContain(body.attestation.symmetricKey.primaryKey);
  });

  it("and says in Azure's form that a body is too large", async () => {
    const { call } = await openCounter();
    const answer = await call("PUT", "/enrollments/gw-1", JSON.stringify({ x: "x".repeat(5 * 1024 * 1024) }));
    expect(answer).toMatchObject({ status: 413, body: { errorCode: 413000 } });
  });
});
