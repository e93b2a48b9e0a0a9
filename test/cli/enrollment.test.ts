import { readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from "vitest";
import type { RunningService } from "../../src/service/service.ts";
import vectors from "../fixtures/dps-vectors.json" with { type: "json" };
import { directoryOfFile } from "../service/sockets.ts";
import { commandLine, type Said } from "../support/command-line.ts";
import { startHttpProxy } from "../support/http-proxy.ts";
import { issue } from "../support/pki.ts";
import { startServiceHere } from "../support/service-in-process.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

const dataDirectory = directoryOfFile();
let service: RunningService;

beforeAll(async () => {
  service = await startServiceHere(dataDirectory);
});
afterAll(() => service.stop());

const endorsementKey = vectors.registrationIdFromEk[0]?.endorsementKey ?? "";

const mooring = (...args: string[]): Promise<Said> =>
  commandLine(...args, "--service-file", service.connectionStringFile, "--ca-file", service.caFile);

const enrollment = (...args: string[]): Promise<Said> => mooring("enrollment", ...args);

const created = async (id: string, ...how: string[]): Promise<Said> => {
  onTestFinished(async () => void (await enrollment("delete", id, "--yes")));
  return enrollment("create", "--registration-id", id, ...how);
};

const shown = async (id: string): Promise<Record<string, unknown>> =>
  (await enrollment("show", id, "--json")).json() as Record<string, unknown>;

function file(content: string): string {
  const path = join(temporaryDirectory(), "file");
  writeFileSync(path, content);
  return path;
}

describe("mooring enrollment", () => {
  it("takes the proxy of the environment, but not to what is on this machine", async () => {
    await using proxy = await startHttpProxy({ refusal: "403 Forbidden" });
    vi.stubEnv("HTTPS_PROXY", `http://127.0.0.1:${proxy.port}`);
    onTestFinished(() => void vi.unstubAllEnvs());
    expect((await enrollment("list", "--json")).json()).toEqual([]);

    const text = readFileSync(service.connectionStringFile, "utf8");
    const far = file(text.replace(/HostName=[^;]+/, "HostName=plant.example"));
    const list = ["enrollment", "list", "--service-file", far, "--json"];
    expect(await commandLine(...list)).toMatchObject({ code: 69, err: expect.stringContaining("ERR_PROXY") });
    vi.stubEnv("NO_PROXY", "plant.example");
    expect((await commandLine(...list)).err).toContain("ERR_DNS");
  });

  it("creates, shows, changes, lists and deletes", async () => {
    expect(
      await created("gw-1", "--endorsement-key", endorsementKey, "--device-id", "one", "--hub", "h.example"),
    ).toMatchObject({
      code: 0,
      out: expect.stringContaining("enrollment gw-1 created"),
    });
    expect(await shown("gw-1")).toMatchObject({
      registrationId: "gw-1",
      deviceId: "one",
      iotHubHostName: "h.example",
      attestation: { type: "tpm", tpm: { endorsementKey } },
    });
    expect((await enrollment("update", "gw-1", "--status", "disabled")).code).toBe(0);
    expect((await enrollment("list")).out).toMatch(/^gw-1 +tpm +disabled +h\.example$/m);
    expect((await enrollment("delete", "gw-1", "--yes")).out).toBe("enrollment gw-1 deleted\n");
    expect((await enrollment("list", "--json")).json()).toEqual([]);
  });

  it("does not replace an enrollment by creating it again", async () => {
    await created("gw-1", "--endorsement-key", endorsementKey);
    expect(await created("gw-1", "--symmetric-key")).toMatchObject({
      code: 75,
      err: expect.stringContaining("ERR_ENROLLMENT_CONFLICT: there is an enrollment gw-1 already"),
    });
  });

  it("prints symmetric keys only when asked for them", async () => {
    const keys = [1, 2].map((n) => Buffer.from(`key number ${n} of this device`).toString("base64"));
    const silent = [
      await created("gw-1", "--symmetric-key-file", file(`${keys.join("\n")}\n`), "--json"),
      await enrollment("show", "gw-1"),
      await enrollment("update", "gw-1", "--hub", "h.example", "--json"),
      await enrollment("list", "--json"),
    ];
    for (const { code, out } of silent) {
      expect(code).toBe(0);
      for (const key of keys) expect(out).not.toContain(key);
    }
    // An update leaves them as they are.
    expect((await enrollment("show", "gw-1", "--keys", "--json")).json()).toMatchObject({
      attestation: { symmetricKey: { primaryKey: keys[0], secondaryKey: keys[1] } },
    });
  });

  it.each([
    ["no way to attest", 64, ["create", "--registration-id", "gw-2"]],
    ["nobody", 64, ["create", "--symmetric-key"]],
    [
      "two ways to attest",
      64,
      ["create", "--registration-id", "gw-2", "--symmetric-key", "--endorsement-key", "x"],
    ],
    [
      "a certificate that is not there",
      66,
      ["create", "--registration-id", "gw-2", "--certificate", "/nowhere"],
    ],
    [
      "a certificate that is none",
      64,
      ["create", "--registration-id", "gw-2", "--certificate", "package.json"],
    ],
    [
      "an endorsement key that is none",
      65,
      ["create", "--registration-id", "gw-2", "--endorsement-key", "x"],
    ],
    ["nothing to change", 64, ["update", "gw-2"]],
    ["another credential", 64, ["update", "gw-2", "--endorsement-key", endorsementKey]],
    ["an enrollment that is not there", 66, ["show", "gw-2"]],
    ["deleting unasked", 64, ["delete", "gw-2"]],
    ["deleting what is not there", 66, ["delete", "gw-2", "--yes"]],
  ])("ends with the right exit code for %s", async (_, code, args) => {
    expect((await enrollment(...args)).code).toBe(code);
  });

  it("says why a group takes no TPM, and what to do", async () => {
    const group = ["create", "--group-id", "plant", "--endorsement-key", endorsementKey];
    const { code, err } = await mooring("enrollment-group", ...group);
    expect(code).toBe(64);
    expect(err).toContain("an endorsement key is that of one TPM");
    expect(err).toContain("mooring enrollment create");
  });

  it("says why an update leaves the credential alone, and what to do", async () => {
    const { err } = await enrollment("update", "gw-2", "--certificate", "new.pem");
    expect(err).toContain("never changes how a device proves itself");
    expect(err).toContain("mooring enrollment roll-certificate");
  });

  it("changes nothing and nobody's work when the etag is an old one", async () => {
    await created("gw-1", "--symmetric-key");
    const { etag } = await shown("gw-1");
    expect((await enrollment("update", "gw-1", "--edge", "--if-match", String(etag))).code).toBe(0);
    for (const act of [
      ["update", "gw-1", "--no-edge"],
      ["delete", "gw-1", "--yes"],
    ]) {
      expect(await enrollment(...act, "--if-match", String(etag))).toMatchObject({
        code: 75,
        err: expect.stringContaining("ERR_ENROLLMENT_CONFLICT"),
      });
    }
    expect(await shown("gw-1")).toMatchObject({ capabilities: { iotEdge: true } });
  });

  it("lists only what is searched for", async () => {
    for (const id of ["plant-7-a", "PLANT-7-b", "plant-8-a"]) await created(id, "--symmetric-key");
    const found = (await enrollment("list", "--search", "nt-7-", "--json")).json() as {
      registrationId: string;
    }[];
    expect(found.map(({ registrationId }) => registrationId)).toEqual(["plant-7-a", "PLANT-7-b"]);
  });
});

describe("where a device goes", () => {
  it.each<[string, string[], Record<string, unknown>]>([
    ["one hub", ["--hub", "a.example"], { iotHubHostName: "a.example" }],
    [
      "one of two hubs",
      ["--hub", "a.example", "--hub", "b.example"],
      { allocationPolicy: "hashed", iotHubs: ["a.example", "b.example"] },
    ],
    [
      "a hub by policy",
      ["--allocation", "static", "--hub", "a.example"],
      { allocationPolicy: "static", iotHubHostName: "a.example" },
    ],
    ["the nearest", ["--allocation", "geo-latency"], { allocationPolicy: "geoLatency" }],
    [
      "the nearest of one",
      ["--allocation", "geo-latency", "--hub", "a.example"],
      { allocationPolicy: "geoLatency", iotHubs: ["a.example"] },
    ],
    [
      "wherever a webhook says",
      ["--webhook", "https://f.example/api?code=secret"],
      {
        allocationPolicy: "custom",
        customAllocationDefinition: {
          webhookUrl: "https://f.example/api?code=secret",
          apiVersion: "2021-10-01",
        },
      },
    ],
    [
      "and stays",
      ["--reprovision", "keep"],
      { reprovisionPolicy: { updateHubAssignment: false, migrateDeviceData: false } },
    ],
    [
      "and starts anew",
      ["--reprovision", "reset"],
      { reprovisionPolicy: { updateHubAssignment: true, migrateDeviceData: false } },
    ],
  ])("can be said: %s", async (_, options, members) => {
    expect((await created("gw-1", "--symmetric-key", ...options)).code).toBe(0);
    const row = await shown("gw-1");
    expect(row).toMatchObject(members);
    for (const name of ["allocationPolicy", "iotHubHostName", "iotHubs", "customAllocationDefinition"])
      if (!(name in members)) expect(row).not.toHaveProperty(name);
  });

  it("is changed whole: what no longer fits goes", async () => {
    await created("gw-1", "--symmetric-key", "--webhook", "https://f.example/");
    await enrollment("update", "gw-1", "--allocation", "hashed", "--hub", "a.example", "--hub", "b.example");
    expect(await shown("gw-1")).not.toHaveProperty("customAllocationDefinition");
    await enrollment("update", "gw-1", "--allocation", "static", "--hub", "b.example");
    expect(await shown("gw-1")).toMatchObject({ allocationPolicy: "static", iotHubHostName: "b.example" });
    expect(await shown("gw-1")).not.toHaveProperty("iotHubs");
    await enrollment("update", "gw-1", "--allocation", "hashed", "--any-hub");
    expect(await shown("gw-1")).not.toHaveProperty("iotHubHostName");
  });

  it.each([
    [["--allocation", "static"]],
    [["--allocation", "static", "--hub", "a.example", "--hub", "b.example"]],
    [["--allocation", "custom"]],
    [["--allocation", "hashed", "--webhook", "https://f.example/"]],
    [["--allocation", "nearest"]],
  ])("is refused when it makes no sense: %j", async (options) => {
    expect((await created("gw-1", "--symmetric-key", ...options)).code).toBe(64);
  });

  it("does not show the key of a webhook to people", async () => {
    await created("gw-1", "--symmetric-key", "--webhook", "https://f.example/api?code=secret");
    const { out } = await enrollment("show", "gw-1");
    expect(out).toContain("https://f.example/api?…");
    expect(out).not.toContain("secret");
  });
});

describe("roll-certificate", () => {
  const thumbprints = async (id: string): Promise<(string | undefined)[]> => {
    const { attestation } = (await shown(id)) as {
      attestation: { x509: { clientCertificates: Record<string, { info: { sha256Thumbprint: string } }> } };
    };
    const { primary, secondary } = attestation.x509.clientCertificates;
    return [primary?.info.sha256Thumbprint, secondary?.info.sha256Thumbprint];
  };

  it("makes the new one primary and the old one secondary, until it is finished", async () => {
    const [old, next] = ["old", "new"].map(() => issue(temporaryDirectory(), "gw-1"));
    await created("gw-1", "--certificate", old?.certificateFile ?? "");
    const [first] = await thumbprints("gw-1");
    const rolled = await enrollment("roll-certificate", "gw-1", "--certificate", next?.certificateFile ?? "");
    expect(rolled).toMatchObject({ code: 0, out: expect.stringContaining("the old one as secondary") });
    const [primary, secondary] = await thumbprints("gw-1");
    expect(secondary).toBe(first);
    expect(primary).not.toBe(first);
    expect((await enrollment("roll-certificate", "gw-1", "--finish")).code).toBe(0);
    expect(await thumbprints("gw-1")).toEqual([primary, undefined]);
  });

  it("goes back by rolling to the old one, and does not lose one that may be in use", async () => {
    const [old, next, third] = [1, 2, 3].map(() => issue(temporaryDirectory(), "gw-1").certificateFile);
    await created("gw-1", "--certificate", old ?? "");
    const roll = (...options: (string | undefined)[]) =>
      enrollment("roll-certificate", "gw-1", ...options.map(String));
    expect(await roll("--certificate", old)).toMatchObject({
      code: 64,
      err: expect.stringContaining("already"),
    });
    await roll("--certificate", next);
    const [primary, secondary] = await thumbprints("gw-1");
    expect(await roll("--certificate", third)).toMatchObject({
      code: 64,
      err: expect.stringContaining("rolling already"),
    });
    expect((await roll("--certificate", old)).code).toBe(0);
    expect(await thumbprints("gw-1")).toEqual([secondary, primary]);
    expect((await roll("--finish", "--certificate", third)).code).toBe(0);
    expect((await thumbprints("gw-1"))[1]).toBe(secondary);
  });

  it("rolls the CA of a group", async () => {
    const [old, next] = ["old CA", "new CA"].map((name) => issue(temporaryDirectory(), name, { isCa: true }));
    onTestFinished(async () => void (await mooring("enrollment-group", "delete", "plant", "--yes")));
    await mooring(
      "enrollment-group",
      "create",
      "--group-id",
      "plant",
      "--certificate",
      old?.certificateFile ?? "",
    );
    await mooring(
      "enrollment-group",
      "roll-certificate",
      "plant",
      "--certificate",
      next?.certificateFile ?? "",
    );
    const { out } = await mooring("enrollment-group", "show", "plant");
    expect(out).toMatch(/^certificate +CN=new CA/m);
    expect(out).toMatch(/^secondary certificate +CN=old CA/m);
  });

  it.each([
    ["who has none", ["--certificate", "CERTIFICATE"]],
    ["nothing given", []],
    ["nothing to finish", ["--finish"]],
  ])("is refused with 64: %s", async (_, options) => {
    const { certificateFile } = issue(temporaryDirectory(), "gw-1");
    await created("gw-1", "--symmetric-key");
    const args = options.map((each) => (each === "CERTIFICATE" ? certificateFile : each));
    expect((await enrollment("roll-certificate", "gw-1", ...args)).code).toBe(64);
  });
});

describe("mooring enrollment-group", () => {
  it("creates, shows and deletes", async () => {
    const group = (...args: string[]) => mooring("enrollment-group", ...args);
    expect((await group("create", "--group-id", "plant", "--symmetric-key")).code).toBe(0);
    expect((await group("show", "plant", "--json")).json()).toMatchObject({ enrollmentGroupId: "plant" });
    expect((await group("delete", "plant")).code).toBe(64);
    expect((await group("delete", "plant", "--yes")).code).toBe(0);
  });
});

describe("the connection string", () => {
  it("is for its owner alone", () => {
    expect(statSync(service.connectionStringFile).mode & 0o777).toBe(0o600);
  });

  it("is never printed, however wrong it is", async () => {
    const secret = "c2VjcmV0IHNlY3JldCBzZWNyZXQ=";
    const wrong = [
      `HostName=localhost:1;SharedAccessKeyName=x;SharedAccessKey=${secret}`,
      `HostName=://;SharedAccessKeyName=x;SharedAccessKey=${secret}`,
    ];
    for (const text of wrong) {
      const { code, out, err } = await commandLine(
        "enrollment",
        "list",
        "--service",
        text,
        "--json",
        "--verbose",
      );
      expect(code).not.toBe(0);
      expect(out + err).not.toContain(secret);
    }
  });
});
