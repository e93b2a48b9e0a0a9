import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { RunningService } from "../../src/service/service.ts";
import { directoryOfFile } from "../service/sockets.ts";
import { commandLine, type Said } from "../support/command-line.ts";
import { startServiceHere } from "../support/service-in-process.ts";
import { serviceLine } from "../support/service-line.ts";

const directory = directoryOfFile();
let service: RunningService;

const mooring = (...args: string[]): Promise<Said> =>
  commandLine(...args, "--service-file", service.connectionStringFile, "--ca-file", service.caFile);

const key = Buffer.alloc(32, 3).toString("base64");

/** A gateway that registers with the key of its own or of its group. */
async function register(id: string, keyOption: "key_file" | "group_key_file"): Promise<void> {
  const home = join(directory, id);
  mkdirSync(home);
  const config = join(home, "config.toml");
  writeFileSync(
    config,
    `[provisioning]\nendpoint = "localhost"\nid_scope = "${service.idScope}"\nca_file = "${service.caFile}"\n` +
      `transport = "https"\n[provisioning.ports]\nhttps = ${service.httpsPort}\n` +
      `[identity]\nsource = "symmetric-key"\nregistration_id = "${id}"\n` +
      `[identity.symmetric_key]\n${keyOption} = "${join(directory, "key")}"\n[provisioning.payload]\nboard = "b7"\n[state]\ndirectory = "${home}/state"\n`,
  );
  expect(await commandLine("provision", "--config", config)).toMatchObject({ code: 0 });
}

beforeAll(async () => {
  service = await startServiceHere(join(directory, "dps"), { retryAfterSeconds: 0 });
  writeFileSync(join(directory, "key"), key, { mode: 0o600 });
  const withKey = ["--symmetric-key-file", join(directory, "key")];
  await mooring("enrollment", "create", "--registration-id", "gw-own", ...withKey);
  await mooring("enrollment-group", "create", "--group-id", "plant", ...withKey);
  await register("gw-own", "key_file");
  await register("gw-a", "group_key_file");
  await register("gw-b", "group_key_file");
});
afterAll(() => service.stop());

/** Against a service that has the service API and nothing else. */
async function likeAzure(...args: string[]): Promise<Said> {
  await using line = await serviceLine(service);
  line.spoil = async ({ url }, _count, handOn) =>
    url.startsWith("/mooring/")
      ? { status: 404, body: '{"errorCode":404000,"message":"Resource not found"}' }
      : handOn();
  const [file, ca] = [join(directory, "line"), join(directory, "line.pem")];
  writeFileSync(file, line.connectionString);
  writeFileSync(ca, line.certificate);
  return await commandLine(...args, "--service-file", file, "--ca-file", ca);
}

const listed = async (...options: string[]): Promise<string[]> =>
  ((await mooring("registration", "list", "--json", ...options)).json() as { registrationId: string }[]).map(
    ({ registrationId }) => registrationId,
  );

describe("mooring registration", () => {
  it("lists who registered, wherever they came through", async () => {
    expect((await listed()).sort()).toEqual(["gw-a", "gw-b", "gw-own"]);
    const { out } = await mooring("registration", "list");
    expect(out).toMatch(/^ID +STATUS +HUB +DEVICE +LAST +THROUGH$/m);
    expect(out).toMatch(/^gw-a +assigned +hub\.mooring\.internal +gw-a +\S+ +plant$/m);
    expect(out).toMatch(/^gw-own +assigned .+ its own enrollment$/m);
  });

  it("lists one group alone, and what is searched for", async () => {
    expect(await listed("--group", "plant")).toEqual(["gw-a", "gw-b"]);
    expect(await listed("--search", "OWN")).toEqual(["gw-own"]);
  });

  it("asks every enrollment where nobody lists them all, as in Azure", async () => {
    const { out } = await likeAzure("registration", "list");
    expect(out).toMatch(/^gw-own +assigned .+ its own enrollment$/m);
    expect(out).toMatch(/^gw-a +assigned .+ plant$/m);
  });

  it("shows one, with how the device proved itself and what it sent along", async () => {
    const { out } = await mooring("registration", "show", "gw-a");
    expect(out).toMatch(/^through +plant$/m);
    expect(out).toMatch(/^attestation +symmetricKey$/m);
    expect(out).toMatch(/^device payload +\{"board":"b7"\}$/m);
    const { out: own } = await mooring("registration", "show", "GW-OWN");
    expect(own).toMatch(/^through +its own enrollment$/m);
  });

  it("shows one of Azure's, which says the same in other words and knows no payload", async () => {
    const { out } = await likeAzure("registration", "show", "gw-a");
    expect(out).toMatch(/^through +plant$/m);
    expect(out).toMatch(/^attestation +symmetricKey$/m);
    expect(out).not.toContain("payload");
  });

  it("shows and deletes one, and says where to look for one that is not there", async () => {
    expect((await mooring("registration", "show", "gw-b")).out).toMatch(/^hub +hub\.mooring\.internal$/m);
    expect((await mooring("registration", "delete", "gw-b")).code).toBe(64);
    expect((await mooring("registration", "delete", "gw-b", "--yes", "--if-match", "old")).code).toBe(75);
    expect((await mooring("registration", "delete", "gw-b", "--yes")).out).toBe(
      "registration gw-b deleted\n",
    );
    expect(await mooring("registration", "show", "gw-b")).toMatchObject({
      code: 66,
      err: expect.stringContaining("mooring registration list"),
    });
  });

  it("goes with its group when that is asked for, and stays otherwise", async () => {
    const group = ["enrollment-group", "delete", "plant", "--yes"];
    expect((await mooring(...group, "--with-registration", "--json")).json()).toEqual({
      deleted: "plant",
      registrationsDeleted: 1,
    });
    expect(await listed()).toEqual(["gw-own"]);
    expect((await mooring("enrollment", "delete", "gw-own", "--yes", "--with-registration")).code).toBe(0);
    expect(await listed()).toEqual([]);
  });
});
