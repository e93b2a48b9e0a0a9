// Disks that are full or read-only, and files that must not be read: the failure has its code, and what was there
// before is still there.

import { randomUUID } from "node:crypto";
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { createGateway, type Gateway, publicPart } from "../support/gateway.ts";
import { type LocalService, startService } from "../support/local-service.ts";
import { refuse, succeed, usableIn } from "../support/mooring.ts";
import { type Issued, issue, x509Identity } from "../support/pki.ts";
import { privateMounts, withoutPrivilege } from "../support/private-mounts.ts";

let service: LocalService;
let gateway: Gateway;
let device: Issued;
let name: string;

beforeAll(async () => {
  service = await startService();
});
afterAll(() => service[Symbol.asyncDispose]());

beforeEach(async () => {
  gateway = createGateway();
  name = `gw-${randomUUID()}`;
  device = issue(gateway.directory, name);
  gateway.keepSecret(device.key);
  gateway.configure(service, { identity: x509Identity(device.certificateFile, device.keyFile) });
  await service.enroll(`/enrollments/${name}`, {
    registrationId: name,
    attestation: {
      type: "x509",
      x509: { clientCertificates: { primary: { certificate: device.certificate } } },
    },
  });
});
afterEach(() => gateway[Symbol.dispose]());

describe("a full disk", () => {
  it("loses nothing of the assignment and the outputs that are there", async () => {
    await using mounts = await privateMounts();
    const state = gateway.stateDirectory;
    mounts.run(`mkdir ${state}; mount -t tmpfs -o size=64k,mode=750 tmpfs ${state}`);
    const under = mounts.enter;
    const first = await succeed(gateway.run("provision", { under }));
    const output = mounts.run(`cat ${state}/hub.env`);

    mounts.run(`cat /dev/zero > ${state}/ballast 2>/dev/null || true; df ${state} | grep -q "100%"`);
    // Room for a lock, and for no generation.
    mounts.run(`truncate -s -4096 ${state}/ballast`);
    const recorded = service.stored("registration", name);
    const error = await refuse(gateway.run("reprovision", { under }), "ERR_STATE_FULL");
    expect(error).toMatchObject({ exitCode: 74, path: expect.stringContaining(state) });
    expect(service.stored("registration", name), "the service was asked in vain").toEqual(recorded);
    expect(mounts.run(`cat ${state}/hub.env`)).toBe(output);
    const status = await usableIn(gateway.run("status", { under }));
    expect(status).toMatchObject({ generation: 1, ...publicPart(first) });
    expect(await succeed(gateway.run("provision", { under }))).toMatchObject({ outcome: "kept" });

    mounts.run(`rm ${state}/ballast`);
    await succeed(gateway.run("reprovision", { under }));
    expect(await usableIn(gateway.run("status", { under }))).toMatchObject({ generation: 2 });
  });

  it("is said before the service is asked when there is no room for anything", async () => {
    await using mounts = await privateMounts();
    const state = gateway.stateDirectory;
    mounts.run(`mkdir ${state}; mount -t tmpfs -o size=16k,nr_inodes=1 tmpfs ${state}`);
    await refuse(gateway.run("provision", { under: mounts.enter }), "ERR_STATE_FULL");
    expect(service.stored("registration", name)).toEqual({});
  });
});

describe("a read-only state directory", () => {
  it("still serves its assignment, and refuses a new one before the service is asked", async () => {
    await using mounts = await privateMounts();
    const state = gateway.stateDirectory;
    const first = await succeed(gateway.run("provision"));
    mounts.run(`mount --bind ${state} ${state}; mount -o remount,bind,ro ${state}`);
    const under = mounts.enter;

    const recorded = service.stored("registration", name);
    const error = await refuse(gateway.run("reprovision", { under }), "ERR_STATE_DIRECTORY");
    expect(error).toMatchObject({ exitCode: 73, message: expect.stringContaining(state) });
    expect(service.stored("registration", name)).toEqual(recorded);
    expect(publicPart(await usableIn(gateway.run("status", { under })))).toEqual(publicPart(first));
    expect(await succeed(gateway.run("provision", { under }))).toMatchObject({ outcome: "kept" });
  });

  it("of another user is named with its path", async () => {
    mkdirSync(gateway.stateDirectory, { mode: 0o500 });
    const run = gateway.run("provision", { under: withoutPrivilege });
    const error = await refuse(run, "ERR_STATE_DIRECTORY");
    expect(error["path"]).toContain(gateway.stateDirectory);
    expect(readdirSync(gateway.stateDirectory)).toEqual([]);
  });
});

describe("a file that cannot be read", () => {
  it("is named when it is the private key, with whose it is and what its mode is", async () => {
    chmodSync(device.keyFile, 0);
    const run = gateway.run("provision", { under: withoutPrivilege });
    const error = await refuse(run, "ERR_IDENTITY_UNREADABLE");
    expect(error).toMatchObject({ exitCode: 77, path: device.keyFile });
    expect(error["message"]).toContain("0000");
    expect(existsSync(`${gateway.stateDirectory}/current`)).toBe(false);
    chmodSync(device.keyFile, 0o600);
    await succeed(gateway.run("provision", { under: withoutPrivilege }));
  });

  it("is named when it is the configuration", async () => {
    chmodSync(gateway.configFile, 0);
    const run = gateway.run("provision", { under: withoutPrivilege });
    const error = await refuse(run, "ERR_PERMISSION");
    expect(error).toMatchObject({ exitCode: 77, path: gateway.configFile });
    expect(error["message"]).toMatch(/belongs to \S+ with mode 0000, and Mooring runs as \S+/);
  });

  it.each(["status", "wait"])(
    "is named when it is the state, by `%s` where no daemon runs",
    async (command) => {
      await succeed(gateway.run("provision"));
      const generations = `${gateway.stateDirectory}/generations`;
      chmodSync(generations, 0);
      const error = await refuse(gateway.run(command, { under: withoutPrivilege }), "ERR_PERMISSION");
      expect(error).toMatchObject({ exitCode: 77, message: expect.stringContaining(generations) });
      expect(error["message"]).toMatch(/belongs to \S+ with mode 0000, and Mooring runs as \S+/);
    },
  );
});

describe("damage on the disk", () => {
  it("to the current generation brings back the one before, and sets the damaged one aside", async () => {
    const first = await succeed(gateway.run("provision"));
    await succeed(gateway.run("reprovision"));
    const file = `${gateway.stateDirectory}/generations/000002/assignment.json`;
    writeFileSync(file, readFileSync(file, "utf8").replace(/"deviceId": ".*"/, '"deviceId": "xx"'));
    const run = await gateway.run("status");
    expect(run.code).toBe(0);
    expect(run.json).toMatchObject({
      usable: { generation: 1, assignment: { assignedAt: first["assignedAt"] } },
    });
    expect(run.stderr).toContain("state.fell-back");
    expect(readdirSync(`${gateway.stateDirectory}/quarantine`)).toHaveLength(1);
    expect(await succeed(gateway.run("provision"))).toMatchObject({ outcome: "kept", deviceId: name });
  });
});
