import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { MooringError } from "../../src/errors.ts";
import { tpmIsThere } from "../../src/identity/tpm.ts";
import {
  deviceNode,
  nodeIsThere,
  openFailure,
  permissionError,
  policyError,
} from "../../src/tpm/device-node.ts";

const general = new MooringError("ERR_TPM_UNAVAILABLE", "cannot open the TPM", { rc: 0xa000a });

describe("the device node of a TCTI", () => {
  it.each([
    ["device:/dev/tpmrm0", "/dev/tpmrm0"],
    ["device:/dev/tpm0", "/dev/tpm0"],
    ["device", "/dev/tpmrm0"],
    ["swtpm:path=/run/tpm.sock", undefined],
    ["tabrmd:bus_name=com.intel.tss2.Tabrmd", undefined],
  ])("%s is %s", (tcti, node) => {
    expect(deviceNode(tcti)).toBe(node);
  });

  it("says whether a TPM can be expected, and other TCTIs are taken at their word", () => {
    expect(tpmIsThere("device:/dev/null")).toBe(true);
    expect(tpmIsThere("device:/nowhere/tpmrm0")).toBe(false);
    expect(tpmIsThere("swtpm:path=/nowhere")).toBe(true);
  });
});

describe("a node", () => {
  it("is there whether or not it may be opened, and not there when its directory does not have it", () => {
    expect(nodeIsThere("/dev/null")).toBe(true);
    expect(nodeIsThere("/dev/no-such-node")).toBe(false);
  });
});

describe("a TPM that cannot be opened", () => {
  it("is not there when its node is not", async () => {
    const error = await openFailure("device:/nowhere/tpmrm0", general);
    expect(error.code).toBe("ERR_TPM_UNAVAILABLE");
    expect(error.message).toBe("there is no TPM at /nowhere/tpmrm0");
    expect(error.details.rc).toBe(0xa000a);
  });

  it("stays unexplained when the kernel lets its node be opened, or when it has none", async () => {
    expect(await openFailure("device:/dev/null", general)).toBe(general);
    expect(await openFailure("swtpm:path=/nowhere", general)).toBe(general);
  });

  it("is a question of permission when the kernel says so", async () => {
    const directory = await mkdtemp(join(tmpdir(), "mooring-node-"));
    const node = join(directory, "tpmrm0");
    await writeFile(node, "");
    await chmod(directory, 0o755);
    await chmod(node, 0);
    const error = await asNobody(() => openFailure(`device:${node}`, general));
    await rm(directory, { recursive: true });

    expect(error.code).toBe("ERR_TPM_PERMISSION");
    expect(error.details).toMatchObject({ path: node, rc: 0xa000a });
  });
});

/** Root may open everything: the test then gives up its privilege for a moment. */
async function asNobody<T>(act: () => Promise<T>): Promise<T> {
  const wasRoot = process.geteuid?.() === 0;
  if (wasRoot) process.seteuid?.(65_534);
  try {
    return await act();
  } finally {
    if (wasRoot) process.seteuid?.(0);
  }
}

describe("an error of permission", () => {
  it("sends the user of a forbidden device to the unit's policy, not into a group", () => {
    const error = policyError("/dev/tpmrm0", "root");
    expect(error.code).toBe("ERR_TPM_PERMISSION");
    expect(error.message).toBe("a device policy keeps root from /dev/tpmrm0");
    expect(error.hint).toContain("DeviceAllow=/dev/tpmrm0 rw");
  });

  it("names the node, its owner, group and mode, the user, and the command that helps", () => {
    const error = permissionError("/dev/tpmrm0", { uid: 0, gid: 1, mode: 0o20660 }, "gateway");
    expect(error.code).toBe("ERR_TPM_PERMISSION");
    expect(error.message).toBe("gateway may not open /dev/tpmrm0, which is root:daemon with mode 0660");
    expect(error.hint).toContain("usermod -aG daemon gateway");
  });

  it("does not send the user into a group that may not open the node either", () => {
    const rootOnly = permissionError("/dev/tpmrm0", { uid: 0, gid: 0, mode: 0o20600 }, "gateway");
    expect(rootOnly.message).toContain("root:root with mode 0600");
    expect(rootOnly.hint).not.toContain("usermod");
    expect(rootOnly.hint).toContain("udev");
  });
});
