// A gateway whose identity is a TPM, with tpm2-tools as the third party that sees what really is in it.

import { existsSync, readFileSync, readlinkSync, rmSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { createGateway, type Gateway, publicPart } from "../support/gateway.ts";
import { expectHubKeyInTpm, hubKeyHandle, hubKeyOf } from "../support/hub-key.ts";
import { type LocalService, startService } from "../support/local-service.ts";
import { refuse, succeed } from "../support/mooring.ts";
import { tpmIdentity } from "../support/pki.ts";
import { type Swtpm, startSwtpm } from "../support/swtpm.ts";

let service: LocalService;
let swtpm: Swtpm;
let gateway: Gateway;
let registrationId: string;
let endorsementKey: string;

beforeAll(async () => {
  service = await startService("--hub", "hub.example");
});
afterAll(() => service[Symbol.asyncDispose]());

beforeEach(async () => {
  swtpm = await startSwtpm();
  gateway = createGateway(service, { identity: tpmIdentity(swtpm.tcti) });
  const shown = await succeed(gateway.run("identity show"));
  registrationId = String(shown["registrationId"]);
  endorsementKey = String(shown["endorsementKey"]);
  await enroll({ endorsementKey });
});
afterEach(async () => {
  gateway[Symbol.dispose]();
  await swtpm.stop();
});

const enroll = (tpm: object, more: object = {}): Promise<void> =>
  service.enroll(`/enrollments/${registrationId}`, {
    registrationId,
    attestation: { type: "tpm", tpm },
    ...more,
  });

const expectHubKey = (deviceId = registrationId): Promise<void> =>
  expectHubKeyInTpm(swtpm, service, deviceId);

const persistentHandles = async (): Promise<string[]> =>
  (await swtpm.tool("tpm2_getcap", "handles-persistent")).match(/0x[0-9A-F]{8}/gi) ?? [];

/** Name of what is at a handle; empty when nothing is. */
const nameAt = async (handle: string): Promise<string> =>
  /^name: *([0-9a-f]+)/m.exec(await swtpm.tool("tpm2_readpublic", "-c", handle).catch(() => ""))?.[1] ?? "";

async function leavesNothingLoaded(): Promise<void> {
  expect(await swtpm.tool("tpm2_getcap", "handles-transient")).toBe("");
  expect(await swtpm.tool("tpm2_getcap", "handles-loaded-session")).toBe("");
}

describe("identity show", () => {
  it("shows the endorsement key and storage root key that tpm2_readpublic reads", async () => {
    const shown = await succeed(gateway.run("identity show"));
    for (const [handle, field] of [
      ["0x81010001", "endorsementKey"],
      ["0x81000001", "storageRootKey"],
    ] as const) {
      await swtpm.tool("tpm2_readpublic", "-c", handle, "-o", "public.tpm2b");
      const read = readFileSync(join(swtpm.directory, "public.tpm2b")).toString("base64");
      expect(shown[field]).toBe(read);
    }
  });

  it("shows the endorsement key that tpm2_createek made before", async () => {
    await using other = await startSwtpm();
    await other.tool("tpm2_createek", "-G", "rsa", "-c", "0x81010001", "-u", "ek.tpm2b");
    using own = createGateway(service, { identity: tpmIdentity(other.tcti) });
    const shown = await succeed(own.run("identity show"));
    expect(shown).toMatchObject({
      source: "tpm",
      endorsementKey: readFileSync(join(other.directory, "ek.tpm2b")).toString("base64"),
    });
  });
});

describe("enrollment create --this-device", () => {
  const asOperator = () => ({
    env: { MOORING_SERVICE: service.connectionString, MOORING_SERVICE_CA: service.caFile },
  });

  it("enrolls the TPM of the gateway it runs on, which can provision then", async () => {
    await succeed(service.operator("enrollment", "delete", registrationId, "--yes", "--json"));
    const create = { ...asOperator(), args: ["--this-device"] };
    expect(await succeed(gateway.run("enrollment create", create))).toMatchObject({
      registrationId,
      attestation: { type: "tpm", tpm: { endorsementKey } },
    });
    await succeed(gateway.run("provision"));
    await leavesNothingLoaded();
  });

  it("is what identity show --enroll prints, for others to do", async () => {
    const shown = await succeed(gateway.run("identity show", { args: ["--enroll"] }));
    expect(shown).toMatchObject({
      enrollment: { registrationId, attestation: { type: "tpm", tpm: { endorsementKey } } },
      az: expect.stringContaining(`--attestation-type tpm --endorsement-key '${endorsementKey}'`),
      qr: { text: JSON.stringify(shown["enrollment"]) },
    });
  });
});

describe("provision", () => {
  it("leaves at the handle the very key that the service gave the hub, and nothing else in the TPM", async () => {
    const answer = await succeed(gateway.run("provision"));
    gateway.keepSecret(hubKeyOf(service, registrationId));
    expect(answer).toMatchObject({ attestation: "tpm", transport: "https", registrationId });
    await expectHubKey();
    expect((await persistentHandles()).sort()).toEqual(["0x81000001", hubKeyHandle, "0x81010001"]);
    await leavesNothingLoaded();
    expect(await succeed(gateway.run("provision"))).toMatchObject({ outcome: "kept" });
    await succeed(gateway.run("reprovision"));
    await expectHubKey();
  });

  it("keeps without opening the TPM", async () => {
    await succeed(gateway.run("provision"));
    await swtpm.kill();
    expect(await succeed(gateway.run("provision"))).toMatchObject({ outcome: "kept" });
    await succeed(gateway.run("status"));
    const error = await refuse(gateway.run("reprovision"), "ERR_TPM_UNAVAILABLE");
    expect(error["message"]).toContain(swtpm.tcti);
    await swtpm.restart();
    await succeed(gateway.run("reprovision"));
  });

  it("survives the loss of its state directory, and touches no object of others", async () => {
    await swtpm.tool("tpm2_createprimary", "-C", "o", "-g", "sha256", "-G", "ecc", "-c", "foreign.ctx");
    await swtpm.tool("tpm2_evictcontrol", "-C", "o", "-c", "foreign.ctx", "0x81000200");
    await swtpm.tool("tpm2_flushcontext", "-t");
    const foreign = await nameAt("0x81000200");
    const first = await succeed(gateway.run("provision"));
    rmSync(gateway.stateDirectory, { recursive: true });
    const again = await succeed(gateway.run("provision"));
    expect(again).toMatchObject({ outcome: "assigned", trigger: "first-boot" });
    expect(again["deviceId"]).toBe(first["deviceId"]);
    expect(await nameAt("0x81000200")).toBe(foreign);
    await expectHubKey();
  });

  it("takes the new key when the operator gives the device another name", async () => {
    await succeed(gateway.run("provision"));
    const before = await nameAt(hubKeyHandle);
    await enroll({ endorsementKey }, { deviceId: "renamed" });
    expect(await succeed(gateway.run("reprovision"))).toMatchObject({ deviceId: "renamed" });
    expect(await nameAt(hubKeyHandle)).not.toBe(before);
    await expectHubKey("renamed");
  });
});

describe("an object of somebody else at the hub key's handle", () => {
  it("stays, and the service is not even asked", async () => {
    await swtpm.tool("tpm2_createprimary", "-C", "o", "-g", "sha256", "-G", "ecc", "-c", "foreign.ctx");
    await swtpm.tool("tpm2_evictcontrol", "-C", "o", "-c", "foreign.ctx", hubKeyHandle);
    await swtpm.tool("tpm2_flushcontext", "-t");
    const occupant = await nameAt(hubKeyHandle);
    const error = await refuse(gateway.run("provision"), "ERR_TPM_HANDLE_OCCUPIED");
    expect(error).toMatchObject({ exitCode: 73, message: expect.stringContaining(hubKeyHandle) });
    expect(service.stored("registration", registrationId)).toEqual({});
    expect(await nameAt(hubKeyHandle)).toBe(occupant);
    await leavesNothingLoaded();

    gateway.configure(service, { identity: `${tpmIdentity(swtpm.tcti)}hub_key_handle = 0x81000300\n` });
    expect(await succeed(gateway.run("provision"))).toMatchObject({ outcome: "assigned" });
    expect((await persistentHandles()).sort()).toContain("0x81000300");
    expect(await nameAt(hubKeyHandle)).toBe(occupant);
  });
});

describe("another program's storage root key", () => {
  it("stays where it is, and the gateway has its own at the handle that is named", async () => {
    await using other = await startSwtpm();
    // As systemd-cryptenroll makes it for an encrypted disk.
    await other.tool(
      "tpm2_createprimary",
      "-C",
      "o",
      "-g",
      "sha256",
      "-G",
      "ecc256:aes128cfb",
      "-c",
      "srk.ctx",
    );
    await other.tool("tpm2_evictcontrol", "-C", "o", "-c", "srk.ctx", "0x81000001");
    await other.tool("tpm2_flushcontext", "-t");
    const before = await other.tool("tpm2_readpublic", "-c", "0x81000001");
    using own = createGateway(service, { identity: tpmIdentity(other.tcti) });
    const error = await refuse(own.run("identity show"), "ERR_TPM_HANDLE_OCCUPIED");
    expect(error).toMatchObject({
      message: expect.stringContaining("0x81000001"),
      hint: expect.stringContaining("storage_root_key_handle"),
    });

    own.configure(service, {
      identity: `${tpmIdentity(other.tcti)}storage_root_key_handle = 0x81000002\n`,
    });
    const shown = await succeed(own.run("identity show"));
    const { registrationId: id, endorsementKey: key } = shown as Record<string, string>;
    const record = { registrationId: id, attestation: { type: "tpm", tpm: { endorsementKey: key } } };
    await service.enroll(`/enrollments/${id}`, record);
    expect(await succeed(own.run("provision"))).toMatchObject({ outcome: "assigned" });
    expect(await succeed(own.run("reprovision"))).toMatchObject({ outcome: "assigned" });
    expect(await other.tool("tpm2_readpublic", "-c", "0x81000001")).toBe(before);
    await other.tool("tpm2_readpublic", "-c", "0x81000002");
  });
});

describe("a cut between promoting the assignment and persisting its key", () => {
  const mark = (): string => join(gateway.stateDirectory, "current/hub-key.persisted");

  it("is mended by the next provision, without the network", async () => {
    const first = await succeed(gateway.run("provision"));
    rmSync(mark());
    await swtpm.tool("tpm2_evictcontrol", "-C", "o", "-c", hubKeyHandle);
    expect(await nameAt(hubKeyHandle)).toBe("");

    const trace = gateway.file("trace");
    const under = ["strace", "-f", "--seccomp-bpf", "-e", "trace=connect", "-o", trace];
    const mended = await succeed(gateway.run("provision", { under }));
    expect(mended).toMatchObject({ outcome: "kept" });
    expect(publicPart(mended)).toEqual(publicPart(first));
    expect(readFileSync(trace, "utf8")).not.toContain("AF_INET");
    expect(readFileSync(trace, "utf8")).toContain("AF_UNIX");
    await expectHubKey();
    expect(existsSync(mark())).toBe(true);
  });

  it("is found when the process is killed the moment the new assignment is there", async () => {
    await succeed(gateway.run("provision"));
    await enroll({ endorsementKey }, { deviceId: "second" });
    // Right behind the flip of `current` the state directory is synced; other files are written there before.
    const trace = gateway.file("trace");
    await succeed(
      gateway.run("reprovision", { under: ["strace", "-f", "-y", "-e", "trace=fsync,rename", "-o", trace] }),
    );
    const [before = ""] = readFileSync(trace, "utf8").split(/rename\(.*\.current\.new/);
    const when = before.split(`<${gateway.stateDirectory}>`).length;
    const announced = (): string => readFileSync(join(gateway.stateDirectory, "announced"), "utf8");
    const told = announced();
    const under = ["strace", "-f", "-P", gateway.stateDirectory, "-e", "trace=fsync", "-o", trace];
    const run = await gateway.run("reprovision", {
      under: [...under, "-e", `inject=fsync:signal=SIGKILL:when=${when}`],
    });
    expect(run.code).not.toBe(0);
    expect(readlinkSync(join(gateway.stateDirectory, "current"))).toBe("generations/000003");
    expect(existsSync(mark())).toBe(false);

    const { code, json } = await gateway.run("status");
    expect({ code, ...json }).toMatchObject({
      code: 66,
      usable: {
        yes: false,
        because: "its hub key is not in the TPM yet",
        assignment: { deviceId: "second" },
      },
    });
    expect(announced()).toBe(told); // nobody works with another key before it is there
    expect(await succeed(gateway.run("provision"))).toMatchObject({ outcome: "kept", deviceId: "second" });
    await expectHubKey("second");
    expect(announced()).not.toBe(told);
  });
});

describe("a refusal", () => {
  it("of a TPM with another endorsement key leaves no object behind", async () => {
    await using other = await startSwtpm();
    using impostor = createGateway(service, {
      identity: tpmIdentity(other.tcti, `registration_id = "${registrationId}"`),
    });
    await refuse(impostor.run("provision"), "ERR_UNAUTHORIZED");
    expect(await other.tool("tpm2_getcap", "handles-persistent")).not.toMatch(/81000100/i);
    expect(existsSync(join(impostor.stateDirectory, "current"))).toBe(false);
  });

  it("of a disabled enrollment keeps the key that the gateway works with", async () => {
    await succeed(gateway.run("provision"));
    await enroll({ endorsementKey }, { provisioningStatus: "disabled" });
    await refuse(gateway.run("reprovision"), "ERR_DISABLED");
    await expectHubKey();
    await succeed(gateway.run("status"));
  });

  it("of an unknown TPM says what to enroll it with", async () => {
    await service.operator("enrollment", "delete", registrationId, "--yes", "--json");
    expect(await refuse(gateway.run("provision"), "ERR_NOT_ENROLLED")).toMatchObject({
      serviceErrorCode: 404201,
      hint: expect.stringContaining("mooring identity show"),
    });
  });
});

it("a storage root key other than the one that was challenged cannot use what the service sent", async () => {
  // The endorsement key is the enrolled one; the storage root key is of a hierarchy that was cleared since.
  const shown = await succeed(gateway.run("identity show"));
  await enroll({ endorsementKey, storageRootKey: shown["storageRootKey"] });
  await swtpm.tool("tpm2_evictcontrol", "-C", "o", "-c", "0x81000001");
  await swtpm.tool("tpm2_createprimary", "-C", "o", "-g", "sha256", "-G", "rsa2048", "-c", "other.ctx");
  await swtpm.tool("tpm2_evictcontrol", "-C", "o", "-c", "other.ctx", "0x81000001");
  await swtpm.tool("tpm2_flushcontext", "-t");
  await refuse(gateway.run("provision"), "ERR_UNAUTHORIZED");
});
