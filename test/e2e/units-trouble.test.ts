// The shipped units when the configuration is wrong, or the agent cannot even start: nothing loops, nothing is dead for
// good, and what an operator mends works again by itself.

import { setTimeout as pause } from "node:timers/promises";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type LocalService, startService } from "../support/local-service.ts";
import { noRig, type RigGateway, startRigGateway, underSystemd } from "../support/rig-gateway.ts";

let service: LocalService;
let gateway: RigGateway;

beforeAll(async () => {
  if (noRig !== undefined) return;
  service = await startService("--hub", "hub.example");
  gateway = await startRigGateway(service);
  await gateway.enroll();
  await gateway.boot();
  await gateway.until("systemctl is-active gateway");
});
afterAll(async () => {
  await gateway?.[Symbol.asyncDispose]();
  await service?.[Symbol.asyncDispose]();
});

/** A boot with an assignment, the configuration being as it should or not, and units changed by drop-ins. */
async function bootWith(settings: string, dropIns: Readonly<Record<string, string>> = {}): Promise<void> {
  await gateway.shutDown();
  await gateway.sh("rm -rf /etc/systemd/system/*.d");
  for (const [unit, text] of Object.entries(dropIns))
    gateway.write(`/etc/systemd/system/${unit}.d/test.conf`, text);
  gateway.configure(settings);
  await gateway.sh("systemctl daemon-reload");
  await gateway.boot();
}

const mistake = "mistake = true";
const instead = (command: string): string => `[Service]\nExecStart=\nExecStart=${command}\n`;

/** How often systemd starts a unit in the next two seconds: that nothing happens cannot be awaited. */
async function startsSoon(unit: string): Promise<number> {
  const before = await gateway.starts(unit);
  await pause(2000);
  return (await gateway.starts(unit)) - before;
}

const failed = (): Promise<string> => gateway.sh("systemctl --failed --plain --no-legend");

async function expectAllWell(): Promise<void> {
  await gateway.until("systemctl is-active mooring gateway mooring-assigned.target");
  expect(await failed()).toBe("");
  const watching = "mooring.socket mooring.path mooring.timer mooring-assigned.path";
  await gateway.until(`systemctl is-active ${watching}`);
}

describe.skipIf(noRig)(underSystemd, () => {
  describe("a configuration that cannot be read", () => {
    beforeEach(() => bootWith(mistake));

    it("keeps waiting who waits for the assignment that is there, until it is mended", async () => {
      await gateway.until("systemctl is-failed mooring");
      expect(await startsSoon("mooring-wait.service")).toBe(0);
      expect(await gateway.show("mooring-wait", "ActiveState")).toEqual({ ActiveState: "activating" });
      expect(await gateway.show("gateway", "ActiveState")).toEqual({ ActiveState: "inactive" });

      gateway.configure("");
      await expectAllWell();
      expect(await gateway.show("mooring", "NRestarts")).toEqual({ NRestarts: "0" });
    });
  });

  describe("a wait for the assignment that fails", () => {
    const broken = instead("/bin/false");

    it("is tried again in a while, by a path unit that neither loops nor gives up", async () => {
      await bootWith("", { "mooring-wait.service": broken });
      await gateway.until("systemctl show mooring-wait -p SubState | grep auto-restart");
      expect(await startsSoon("mooring-wait.service")).toBe(0);
      expect(await gateway.show("mooring-assigned.path", "ActiveState")).toEqual({ ActiveState: "active" });

      await bootWith("", { "mooring-wait.service": `${broken}Restart=no\n` });
      expect(await startsSoon("mooring-wait.service")).toBeGreaterThan(5); // negative control
    });

    it("succeeds then by itself", async () => {
      await bootWith("", { "mooring-wait.service": `${broken}RestartSec=1s\n` });
      await gateway.until("systemctl show mooring-wait -p SubState | grep auto-restart");
      await gateway.sh("rm -rf /etc/systemd/system/mooring-wait.service.d; systemctl daemon-reload");
      await expectAllWell();
    });
  });
});
