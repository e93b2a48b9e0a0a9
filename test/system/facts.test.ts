import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { dirname, join } from "node:path";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { machineFact, machineFacts, machineKey } from "../../src/system/facts.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

/** A machine's /etc and /sys, as far as a test needs them. */
function machine(files: Record<string, string>): { root: string } {
  const root = temporaryDirectory();
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(root, name)), { recursive: true });
    writeFileSync(join(root, name), content);
  }
  return { root };
}

const board = "sys/firmware/devicetree/base";
const nic = (name: string): string => `sys/class/net/${name}/address`;

describe("a board with a device tree", () => {
  it("tells serial number and product, without the final NUL", async () => {
    const at = machine({
      [`${board}/serial-number`]: "10000000abcdef01\0",
      [`${board}/model`]: "Gate 4 Rev 1.4\0",
    });
    expect(await machineFact("serial", at)).toEqual({ value: "10000000abcdef01" });
    expect(await machineFact("product", at)).toEqual({ value: "Gate 4 Rev 1.4" });
  });

  it.each([
    "",
    "0000000000000000",
    "To Be Filled By O.E.M.",
    "Default string",
    "None",
    "0123456789",
    "xxxxxxxx",
  ])("whose serial number was never filled in (%j) is not called by it", async (serial) => {
    const fact = await machineFact("serial", machine({ [`${board}/serial-number`]: `${serial}\0` }));
    expect(fact).not.toEqual({ value: serial });
  });
});

describe("a serial number that only root may read", () => {
  it("is what the unit hands down, where that is one", async () => {
    const credentials = temporaryDirectory();
    vi.stubEnv("CREDENTIALS_DIRECTORY", credentials);
    onTestFinished(() => void vi.unstubAllEnvs());
    const file = join(credentials, "product_serial");
    writeFileSync(file, "PF3ABCDE\n");
    expect(await machineFact("serial", machine({}))).toEqual({ value: "PF3ABCDE" });
    writeFileSync(file, "Default string\n");
    expect(await machineFact("serial", machine({}))).not.toEqual({ value: "Default string" });
    const at = machine({ [`${board}/serial-number`]: "10000000abcdef01\0" });
    expect(await machineFact("serial", at)).toEqual({ value: "10000000abcdef01" });
  });
});

describe("the machine id", () => {
  it("is read from /etc/machine-id", async () => {
    const id = "3d1219c7c4c5404aaa1f6d2a48adfda4";
    expect(await machineFact("machine-id", machine({ "etc/machine-id": `${id}\n` }))).toEqual({ value: id });
  });

  it.each([["uninitialized\n"], [""]])(
    "is missing in an image that has not booted yet (%j)",
    async (content) => {
      const fact = await machineFact("machine-id", machine({ "etc/machine-id": content }));
      expect(fact).toEqual({ missing: expect.stringContaining("etc/machine-id") });
    },
  );
});

describe("what tells machines apart", () => {
  const id = "3d1219c7c4c5404aaa1f6d2a48adfda4";
  const cloned = (address: string, more: Record<string, string> = {}) =>
    machine({
      "etc/machine-id": id,
      [nic("eth0")]: address,
      "sys/class/net/eth0/device/uevent": "",
      ...more,
    });

  it("is another for each clone of an image", () => {
    const [one, two] = [cloned("02:00:00:00:00:01"), cloned("02:00:00:00:00:02")];
    expect(machineKey(one)).not.toBe(machineKey(two));
    expect(machineKey(one)).toContain(id);
  });

  it("is the host name only where there is nothing else", () => {
    expect(machineKey(cloned("02:00:00:00:00:01"))).not.toContain(hostname());
    expect(machineKey(machine({}))).toBe(hostname());
  });

  it("stays when containers come and go", () => {
    const before = machineKey(cloned("02:00:00:00:00:01"));
    expect(machineKey(cloned("02:00:00:00:00:01", { [nic("veth1")]: "06:11:22:33:44:55" }))).toBe(before);
  });
});

describe("a MAC address", () => {
  it("is the interface's, whether it is up or not", async () => {
    const at = machine({ [nic("eth0")]: "02:00:00:00:00:01\n" });
    expect(await machineFact("mac:eth0", at)).toEqual({ value: "02:00:00:00:00:01" });
  });

  it("is missing for an interface that is not there, and those that are there are named", async () => {
    const at = machine({ [nic("end0")]: "02:00:00:00:00:02\n", [nic("lo")]: "00:00:00:00:00:00\n" });
    const missing = "there is no interface eth0 with a MAC address; there are: end0";
    expect(await machineFact("mac:eth0", at)).toEqual({ missing });
    expect(await machineFact("mac:lo", at)).toHaveProperty("missing");
  });

  it("is the one that this machine's kernel tells", async () => {
    const facts = await machineFacts();
    for (const name of readdirSync("/sys/class/net").filter((one) => one !== "lo")) {
      expect(facts[`mac:${name}`]).toEqual({
        value: readFileSync(`/sys/class/net/${name}/address`, "utf8").trim(),
      });
    }
    expect(facts).not.toHaveProperty("mac:lo");
  });
});

describe("a machine", () => {
  it("has its host name, unless nobody gave it one", async () => {
    const named = !/^(localhost.*|\(none\))?$/.test(hostname());
    expect(await machineFact("hostname")).toEqual(
      named ? { value: hostname() } : { missing: expect.stringContaining("host name") },
    );
  });

  it("lists all its facts", async () => {
    const at = machine({ [nic("eth0")]: "02:00:00:00:00:01\n" });
    expect(Object.keys(await machineFacts(at))).toEqual([
      "serial",
      "product",
      "machine-id",
      "hostname",
      "mac:eth0",
    ]);
  });
});
