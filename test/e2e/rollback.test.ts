// `mooring rollback`: back to the assignment before, with everything that belongs to it, and nobody is asked.

import { readFileSync, readlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { hubKeyHandle } from "../support/hub-key.ts";
import { type LocalService, startService } from "../support/local-service.ts";
import { nameAt } from "../support/loss-check.ts";
import { mooring, refuse, succeed, usableIn } from "../support/mooring.ts";
import { type Lane, openLane } from "../support/sweep-lane.ts";
import type { Swtpm } from "../support/swtpm.ts";

let service: LocalService;
beforeAll(async () => {
  service = await startService("--hub", "hub.example");
});
afterAll(() => service[Symbol.asyncDispose]());

/** A gateway that was provisioned as `old` and is now `new`. */
async function twiceProvisioned(kind: "tpm" | "x509"): Promise<Lane> {
  const lane = await openLane(service, `rollback-${kind}`, { kind, transport: "https" });
  await lane.enroll("old");
  await succeed(lane.run("provision"));
  await lane.enroll("new");
  await succeed(lane.run("reprovision"));
  return lane;
}

const link = ({ gateway }: Lane): string => readlinkSync(join(gateway.stateDirectory, "current"));
const output = ({ gateway }: Lane): string => readFileSync(join(gateway.stateDirectory, "hub.env"), "utf8");
const offline = ({ gateway }: Lane, ...command: string[]): Promise<Record<string, unknown>> =>
  succeed(mooring([...command, "--config", gateway.file("offline.toml"), "--json"]));

describe("rollback", () => {
  it("returns to the previous assignment without network, and publishes it", async () => {
    await using lane = await twiceProvisioned("x509");
    const back = await offline(lane, "rollback");
    expect(back).toMatchObject({ outcome: "rolled-back", deviceId: "old", outputs: [{ status: "written" }] });
    expect(link(lane)).toBe("generations/000001");
    expect(output(lane)).toContain('IOTHUB_DEVICE_ID="old"');
    expect(await offline(lane, "provision")).toMatchObject({ outcome: "kept", deviceId: "old" });

    expect(await succeed(lane.run("reprovision"))).toMatchObject({ deviceId: "new" });
    expect(link(lane)).toBe("generations/000003");
    expect(await offline(lane, "rollback")).toMatchObject({ deviceId: "old" });
  });

  it("puts the hub key of then back into the TPM, and nothing else", async () => {
    await using lane = await twiceProvisioned("tpm");
    const swtpm = lane.swtpm as Swtpm;
    const keyOfNew = await nameAt(swtpm, hubKeyHandle);
    const back = await offline(lane, "rollback");
    const { name } = back["hubKey"] as { name: string };
    expect(name).not.toBe(keyOfNew);
    expect(await nameAt(swtpm, hubKeyHandle)).toBe(name);
    const outcome = { before: "old", after: "old", mended: { by: "reprovision", to: ["new"] } };
    expect(await lane.losses(outcome)).toEqual([]);
  });

  it("changes nothing when the TPM cannot be reached", async () => {
    await using lane = await twiceProvisioned("tpm");
    await lane.swtpm?.kill();
    await refuse(lane.run("rollback"), "ERR_TPM_UNAVAILABLE");
    expect(link(lane)).toBe("generations/000002");
    expect(output(lane)).toContain('IOTHUB_DEVICE_ID="new"');
    await lane.swtpm?.restart();
    expect(
      await lane.losses({ before: "new", after: "new", mended: { by: "provision", to: ["new"] } }),
    ).toEqual([]);
  });

  it("is refused when there is nothing to go back to", async () => {
    await using lane = await openLane(service, "rollback-none", { kind: "x509", transport: "https" });
    await refuse(lane.run("rollback"), "ERR_NOT_PROVISIONED");
    await lane.enroll("only");
    await succeed(lane.run("provision"));
    await refuse(lane.run("rollback"), "ERR_NO_PREVIOUS");
    expect(await usableIn(lane.run("status"))).toMatchObject({ deviceId: "only", generation: 1 });
  });

  it("tells people in lines, and explains itself", async () => {
    await using lane = await twiceProvisioned("x509");
    const told = await mooring(["rollback", "--config", lane.gateway.configFile]);
    expect(told).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^Back to [\s\S]*^device id +old$/m),
    });
    expect((await mooring(["rollback", "--help"])).stdout).toContain("Needs no network");
    expect((await mooring(["--help"])).stdout).toMatch(/^ +rollback /m);
  });
});

describe("a damaged assignment of a TPM gateway", () => {
  it("is followed by the one before it, whose hub key goes back into the TPM", async () => {
    await using lane = await twiceProvisioned("tpm");
    writeFileSync(join(lane.gateway.stateDirectory, "current/assignment.json"), "{}");
    const run = await mooring(["provision", "--config", lane.gateway.file("offline.toml"), "--json"]);
    expect(run).toMatchObject({ code: 0, stderr: expect.stringContaining("state.fell-back") });
    expect(run.json).toMatchObject({ outcome: "kept", deviceId: "old" });
    const { name } = run.json["hubKey"] as { name: string };
    expect(await nameAt(lane.swtpm as Swtpm, hubKeyHandle)).toBe(name);
  });
});
