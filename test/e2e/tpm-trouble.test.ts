// Everything that is wrong with a TPM has its own name, the evidence and the next act; and whatever it is, the
// assignment that was there stays, and is served.

import { chmodSync, chownSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { groupName, userName } from "../../src/system/accounts.ts";
import { createGateway, type Gateway, publicPart } from "../support/gateway.ts";
import { type LocalService, startService } from "../support/local-service.ts";
import { refuse, succeed } from "../support/mooring.ts";
import { tpmIdentity } from "../support/pki.ts";
import { type Swtpm, startSwtpm } from "../support/swtpm.ts";
import { commandCode, startTpmProxy, type TpmProxy, type Trouble } from "../support/tpm-proxy.ts";

let service: LocalService;
let swtpm: Swtpm;
let proxy: TpmProxy;
let gateway: Gateway;

beforeAll(async () => {
  service = await startService("--hub", "hub.example");
});
afterAll(() => service[Symbol.asyncDispose]());

beforeEach(async () => {
  swtpm = await startSwtpm();
  proxy = await startTpmProxy(swtpm);
  gateway = createGateway();
  use(swtpm.tcti);
  await enrollPresentTpm();
});
afterEach(async () => {
  gateway[Symbol.dispose]();
  await proxy[Symbol.asyncDispose]();
  await swtpm.stop();
});

/** Has the gateway use another way to a TPM; `timeout` is how long that may take over a command. */
function use(tcti: string, { timeout = "30s", provisioning = "", endpoint = "localhost" } = {}): void {
  gateway.configure(service, {
    identity: `${tpmIdentity(tcti)}timeout = "${timeout}"\n`,
    provisioning,
  });
  const config = readFileSync(gateway.configFile, "utf8").replace('"localhost"', `"${endpoint}"`);
  writeFileSync(gateway.configFile, config);
}

async function enrollPresentTpm(): Promise<string> {
  const { registrationId, endorsementKey } = await succeed(gateway.run("identity show"));
  await service.enroll(`/enrollments/${registrationId}`, {
    registrationId,
    attestation: { type: "tpm", tpm: { endorsementKey } },
  });
  return String(registrationId);
}

const served = (): string => readFileSync(join(gateway.stateDirectory, "hub.env"), "utf8");

/** What fails with `act` loses neither the assignment nor its output. */
async function losesNothing(act: () => Promise<unknown>): Promise<void> {
  const before = { assignment: gateway.assignment(), output: served() };
  await act();
  expect({ assignment: gateway.assignment(), output: served() }).toEqual(before);
}

describe("no TPM", () => {
  it("is named by the missing device node", async () => {
    use("device:/dev/tpmrm77");
    const error = await refuse(gateway.run("identity show"), "ERR_TPM_UNAVAILABLE");
    expect(error["message"]).toContain("there is no TPM at /dev/tpmrm77");
    expect(error["hint"]).toContain("firmware");
  });
});

describe("no permission", () => {
  const isRoot = process.geteuid?.() === 0;
  // An ordinary user who can reach the program wherever it is installed, but may write nothing.
  const asNobody = [
    ...["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"],
    ...["--inh-caps=-all,+dac_read_search", "--ambient-caps=-all,+dac_read_search", "--"],
  ];

  it("names the node, its owner, group and mode, the user, and the command that helps", async () => {
    const node = gateway.file("tpmrm0");
    writeFileSync(node, "");
    if (isRoot) chownSync(node, 0, 1);
    chmodSync(node, isRoot ? 0o660 : 0);
    use(`device:${node}`);

    const under = isRoot ? asNobody : [];
    const error = await refuse(gateway.run("identity show", { under }), "ERR_TPM_PERMISSION");

    const [user, owner, group] = isRoot
      ? [userName(65_534), "root", groupName(1)]
      : [
          userName(process.geteuid?.() ?? -1),
          userName(process.geteuid?.() ?? -1),
          groupName(process.getegid?.() ?? -1),
        ];
    const mode = isRoot ? "0660" : "0000";
    expect(error["message"]).toContain(
      `${user} may not open ${node}, which is ${owner}:${group} with mode ${mode}`,
    );
    expect(error["hint"]).toContain(isRoot ? `usermod -aG ${group} ${user}` : "udev");
  });
});

describe("another TPM", () => {
  let other: Swtpm;
  beforeEach(async () => {
    await succeed(gateway.run("provision"));
    other = await startSwtpm();
  });
  afterEach(() => other.stop());

  const nameOf = async (tpm: Swtpm, handle: string): Promise<string> =>
    /^name: *([0-9a-f]+)/m.exec(await tpm.tool("tpm2_readpublic", "-c", handle))?.[1] ?? "nothing";

  it("is not enrolled silently when the registration id comes from it: that takes an operator", async () => {
    const { registrationId } = gateway.assignment();
    use(other.tcti, { endpoint: "127.0.0.1" });
    const newId = await enrollPresentTpm();
    expect(newId).not.toBe(registrationId);

    await losesNothing(async () => {
      const error = await refuse(gateway.run("provision"), "ERR_TPM_CHANGED");
      expect(error["message"]).toContain(await nameOf(swtpm, "0x81010001"));
      expect(error["message"]).toContain(await nameOf(other, "0x81010001"));
      expect(error["hint"]).toContain("mooring reprovision");
    });

    const again = await gateway.run("reprovision");
    expect(again.code).toBe(0);
    expect(again.stderr).toContain("tpm.changed");
    expect(again.json).toMatchObject({ outcome: "assigned", registrationId: newId });
    expect(await succeed(gateway.run("provision"))).toMatchObject({ outcome: "kept", registrationId: newId });
  });

  it("is not the one to roll back with", async () => {
    const { registrationId } = gateway.assignment();
    use(other.tcti);
    await enrollPresentTpm();
    expect((await gateway.run("reprovision")).code).toBe(0);
    await losesNothing(() => refuse(gateway.run("rollback"), "ERR_TPM_CHANGED"));
    use(swtpm.tcti);
    await succeed(gateway.run("rollback"));
    expect(gateway.assignment()["registrationId"]).toBe(registrationId);
  });

  it("is noticed before a hub key is put into it", async () => {
    rmSync(join(gateway.stateDirectory, "current/hub-key.persisted"));
    use(other.tcti);
    await losesNothing(() => refuse(gateway.run("provision"), "ERR_TPM_CHANGED"));
    expect(await other.tool("tpm2_getcap", "handles-persistent")).not.toContain("0x81000100");
  });

  it("is what a cleared TPM is, although its endorsement key is the same", async () => {
    const before = await nameOf(swtpm, "0x81000001");
    await swtpm.tool("tpm2_clear", "-c", "p");
    use(swtpm.tcti, { endpoint: "127.0.0.1" });
    await losesNothing(async () => {
      const error = await refuse(gateway.run("provision"), "ERR_TPM_CHANGED");
      expect(error["message"]).toContain("cleared");
      expect(error["message"]).toContain(before);
      expect(error["message"]).toContain(await nameOf(swtpm, "0x81000001"));
    });
    const again = await gateway.run("reprovision");
    expect(again.code, again.stderr).toBe(0);
    expect(await swtpm.tool("tpm2_getcap", "handles-persistent")).toContain("0x81000100");
  });
});

describe("a TPM that hangs", () => {
  it("is given up within its timeout, and the program ends", async () => {
    const first = await succeed(gateway.run("provision"));
    use(proxy.tcti, { timeout: "1s" });
    proxy.inject({ command: commandCode.import, trouble: "silence" });
    await losesNothing(async () => {
      const run = await gateway.run("reprovision");
      const error = await refuse(Promise.resolve(run), "ERR_TPM_TIMEOUT");
      expect(error["message"]).toContain("did not answer command 0x156 within 1 s");
      expect(error["hint"]).toContain("[identity.tpm] timeout");
      expect(run.elapsedMs).toBeLessThan(20_000); // the usual timeout is 30 s
    });
    proxy.heal();
    expect(publicPart(await succeed(gateway.run("provision")))).toEqual(publicPart(first));
    await succeed(gateway.run("reprovision"));
  });

  it("does not outlast the deadline of the attempt", async () => {
    use(proxy.tcti, { provisioning: 'deadline = "2s"' });
    proxy.inject({ command: commandCode.activateCredential, trouble: "silence" });
    const run = await gateway.run("provision");
    await refuse(Promise.resolve(run), "ERR_DEADLINE");
    expect(run.elapsedMs).toBeLessThan(20_000); // the TPM's timeout is 30 s
  });

  it.each([
    ["at its first command", undefined],
    ["while it makes a key", commandCode.createPrimary],
    ["while it activates", commandCode.activateCredential],
    ["while it signs", commandCode.hmac],
  ])("%s does not keep SIGTERM from ending the program within two seconds", async (_when, command) => {
    await swtpm.tool("tpm2_evictcontrol", "-C", "o", "-c", "0x81000001");
    use(proxy.tcti);
    const hangs = proxy.inject({ ...(command && { command }), trouble: "silence" });
    const { child, ended } = gateway.start("provision");
    await hangs;
    const askedAt = performance.now();
    child.kill("SIGTERM");
    const error = await refuse(ended, "ERR_CANCELLED");
    expect(performance.now() - askedAt).toBeLessThan(2_000);
    expect(error["message"]).toContain("stopped by SIGTERM");
    proxy.heal();
    await enrollPresentTpm();
    await succeed(gateway.run("provision"));
  });
});

describe("a TPM that is busy", () => {
  it("is asked again until it has time", async () => {
    use(proxy.tcti);
    for (const command of [commandCode.activateCredential, commandCode.import, commandCode.load])
      proxy.inject({ command, to: 4, trouble: { answer: 0x922 } });
    await succeed(gateway.run("provision"));
  });

  it("for ever is named so", async () => {
    use(proxy.tcti, { timeout: "1s" });
    proxy.inject({ command: commandCode.load, trouble: { answer: 0x90a } });
    const error = await refuse(gateway.run("provision"), "ERR_TPM_BUSY");
    expect(error).toMatchObject({ rc: 0x90a, retry: "soon" });
    expect(error["hint"]).toContain("fuser");
  });

  it("with the objects of programs that died is made free", async () => {
    for (const name of ["a.ctx", "b.ctx", "c.ctx"])
      await swtpm.tool("tpm2_createprimary", "-C", "o", "-G", "ecc", "-c", name);
    expect(await swtpm.tool("tpm2_getcap", "handles-transient")).toContain("0x80000002");
    await succeed(gateway.run("provision"));
  });
});

describe("any other trouble, from some command of a reprovisioning on", () => {
  // Starting it again takes its time: each trouble comes at every fifth command, and each begins with another one.
  it.each<[string, number, Trouble]>([
    ["TPM_RC_LOCKOUT", 1, { answer: 0x921 }],
    ["TPM_RC_FAILURE", 2, { answer: 0x101 }],
    ["TPM_RC_BAD_AUTH", 3, { answer: 0x9a2 }],
    ["a lost connection", 4, "hang up"],
    ["a lost answer", 5, "lose the response"],
    ["half an answer", 1, { cutTo: 12, andThen: "hang up" }],
    ["garbage", 2, { garble: (response) => Buffer.alloc(response.length, 0xa5) }],
  ])("such as %s, has a name, loses nothing, and is over when it is over", async (name, first, trouble) => {
    await succeed(gateway.run("provision"));
    use(proxy.tcti, { timeout: "1s" });
    await succeed(gateway.run("reprovision"));
    const commands = proxy.commands.length;
    expect(commands).toBeGreaterThan(30);

    for (let from = first; from <= commands; from += 5) {
      proxy.inject({ from, trouble });
      const run = await gateway.run("reprovision");
      proxy.heal();
      const { code, rc } = (run.json["error"] ?? {}) as Record<string, unknown>;
      const where = `${name} from command ${from} of ${commands}: ${code} ${rc}`;
      // The last two only clean up: the work is done then.
      if (from <= commands - 2) expect(code, where).toMatch(/^ERR_TPM_/);
      expect(gateway.assignment()["assignedHub"], where).toBe("hub.example");
      expect(served(), where).toContain('IOTHUB_HOSTNAME="hub.example"');
    }

    await succeed(gateway.run("reprovision"));
    expect(await swtpm.tool("tpm2_getcap", "handles-transient")).toBe("");
    expect(await swtpm.tool("tpm2_getcap", "handles-loaded-session")).toBe("");
  });
});
