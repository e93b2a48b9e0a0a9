import { statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from "vitest";
import { run } from "../../src/cli/program.ts";
import type { RunningService } from "../../src/service/service.ts";
import vectors from "../fixtures/dps-vectors.json" with { type: "json" };
import { directoryOfFile } from "../service/sockets.ts";
import { startServiceHere } from "../support/service-in-process.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

const dataDirectory = directoryOfFile();
let service: RunningService;

beforeAll(async () => {
  service = await startServiceHere(dataDirectory);
});
afterAll(() => service.stop());

const endorsementKey = vectors.registrationIdFromEk[0]?.endorsementKey ?? "";

/** Runs one command against the service; what it prints, and its exit code. */
async function mooring(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  const said = { out: "", err: "" };
  const keep = (to: "out" | "err") => (text: unknown) => {
    said[to] += String(text);
    return true;
  };
  const spies = [
    vi.spyOn(process.stdout, "write").mockImplementation(keep("out")),
    vi.spyOn(process.stderr, "write").mockImplementation(keep("err")),
  ];
  const reach = ["--service-file", service.connectionStringFile, "--ca-file", service.caFile];
  try {
    const code = await run(["node", "mooring", ...args, ...reach]);
    return { code, ...said };
  } finally {
    for (const spy of spies) spy.mockRestore();
  }
}

const created = async (id: string, ...how: string[]) => {
  onTestFinished(async () => void (await mooring("enrollment", "delete", id)));
  return mooring("enrollment", "create", "--registration-id", id, ...how);
};

describe("mooring enrollment", () => {
  it("creates, shows, changes, lists and deletes", async () => {
    expect(
      await created("gw-1", "--endorsement-key", endorsementKey, "--device-id", "one", "--hub", "h.example"),
    ).toMatchObject({
      code: 0,
      out: expect.stringContaining("enrollment gw-1 created"),
    });
    const shown = JSON.parse((await mooring("enrollment", "show", "gw-1", "--json")).out);
    expect(shown).toMatchObject({
      registrationId: "gw-1",
      deviceId: "one",
      iotHubHostName: "h.example",
      attestation: { type: "tpm", tpm: { endorsementKey } },
    });
    expect((await mooring("enrollment", "update", "gw-1", "--status", "disabled")).code).toBe(0);
    expect((await mooring("enrollment", "list")).out).toMatch(/^gw-1 +tpm +disabled$/m);
    expect((await mooring("enrollment", "delete", "gw-1")).out).toBe("enrollment gw-1 deleted\n");
    expect(JSON.parse((await mooring("enrollment", "list", "--json")).out)).toEqual([]);
  });

  it("does not replace an enrollment by creating it again", async () => {
    await created("gw-1", "--endorsement-key", endorsementKey);
    expect(await created("gw-1", "--symmetric-key")).toMatchObject({
      code: 75,
      err: expect.stringContaining("ERR_ENROLLMENT_CONFLICT"),
    });
  });

  it("prints symmetric keys only when asked for them", async () => {
    const keys = [1, 2].map((n) => Buffer.from(`key number ${n} of this device`).toString("base64"));
    const file = join(temporaryDirectory(), "keys");
    writeFileSync(file, `${keys.join("\n")}\n`);
    const silent = [
      await created("gw-1", "--symmetric-key-file", file, "--json"),
      await mooring("enrollment", "show", "gw-1"),
      await mooring("enrollment", "update", "gw-1", "--hub", "h.example", "--json"),
      await mooring("enrollment", "list", "--json"),
    ];
    for (const { code, out } of silent) {
      expect(code).toBe(0);
      for (const key of keys) expect(out).not.toContain(key);
    }
    const { attestation } = JSON.parse((await mooring("enrollment", "show", "gw-1", "--keys", "--json")).out);
    expect(attestation.symmetricKey).toEqual({ primaryKey: keys[0], secondaryKey: keys[1] });
  });

  it.each([
    ["no way to attest", 64, ["create", "--registration-id", "gw-2"]],
    [
      "two ways to attest",
      64,
      ["create", "--registration-id", "gw-2", "--symmetric-key", "--endorsement-key", "x"],
    ],
    [
      "a certificate that is not there",
      64,
      ["create", "--registration-id", "gw-2", "--certificate", "/nowhere"],
    ],
    [
      "an endorsement key that is none",
      65,
      ["create", "--registration-id", "gw-2", "--endorsement-key", "x"],
    ],
    ["nothing to change", 64, ["update", "gw-2"]],
    ["an enrollment that is not there", 66, ["show", "gw-2"]],
  ])("ends with the right exit code for %s", async (_, code, args) => {
    expect((await mooring("enrollment", ...args)).code).toBe(code);
  });
});

describe("mooring enrollment-group", () => {
  it("creates, shows and deletes", async () => {
    const group = (...args: string[]) => mooring("enrollment-group", ...args);
    expect((await group("create", "--group-id", "plant", "--symmetric-key")).code).toBe(0);
    expect(JSON.parse((await group("show", "plant", "--json")).out)).toMatchObject({
      enrollmentGroupId: "plant",
    });
    expect((await group("delete", "plant")).code).toBe(0);
  });
});

it("the connection string is for its owner alone", () => {
  expect(statSync(service.connectionStringFile).mode & 0o777).toBe(0o600);
});
