// The shipped units when the configuration is wrong, or the agent cannot even start: nothing loops, nothing is dead for
// good, and what an operator mends works again by itself.

import { setTimeout as pause } from "node:timers/promises";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type LocalService, startService } from "../support/local-service.ts";
import { noRig, type RigGateway, startRigGateway, underSystemd, watchers } from "../support/rig-gateway.ts";

let service: LocalService;
let gateway: RigGateway;

beforeAll(async () => {
  if (noRig !== undefined) return;
  service = await startService("--hub", "hub.example");
  gateway = await startRigGateway(service);
  await gateway.enroll();
  await gateway.boot();
  await gateway.until("systemctl is-active gateway");
  await gateway.sh("cp /etc/mooring/config.toml /etc/good.toml");
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

/** However slow this machine is. */
const manyStarts = (unit: string, before: number): Promise<void> =>
  expect.poll(() => gateway.starts(unit), { timeout: 30_000 }).toBeGreaterThan(before + 5);

/** A client that connects, says nothing, and does `then`. */
const client = (then: string): Promise<string> =>
  gateway.sh(`/usr/lib/mooring-runtime/node -e 'const socket = require("net").connect("/run/mooring/control.sock");
    ${then}'`);
const untilSentHome = "socket.resume()";
const away = 'socket.once("connect", () => process.exit())';

/** What a command is told whose own configuration is good. */
const answer = async (): Promise<unknown> =>
  JSON.parse(await gateway.sh("mooring status --json --config /etc/good.toml 2>/dev/null || test $? = 78"));

const failed = (): Promise<string> => gateway.sh("systemctl --failed --plain --no-legend");

async function expectAllWell(): Promise<void> {
  const units = `mooring gateway mooring-assigned.target ${watchers}`;
  await gateway.until(`test "$(systemctl is-active ${units} | sort -u)" = active`);
  expect(await failed()).toBe("");
}

describe.skipIf(noRig)(underSystemd, () => {
  describe("a configuration that cannot be read", () => {
    beforeEach(() => bootWith(mistake));

    it("ends the agent with 78, which is not started again, and says so in the status", async () => {
      await gateway.until("systemctl is-failed mooring");
      expect(await startsSoon("mooring.service")).toBe(0);
      expect(
        await gateway.show("mooring", "ExecMainStatus", "NRestarts", "ActiveState", "StatusText"),
      ).toEqual({
        ...{ ExecMainStatus: "78", NRestarts: "0", ActiveState: "failed" },
        StatusText: "not started: ERR_CONFIG_INVALID",
      });
    });

    it("is told to whoever asks over the socket, however often, and starts the agent once a second at most", async () => {
      await gateway.until("systemctl is-failed mooring");
      const before = await gateway.starts("mooring.service");
      const startedAt = performance.now();
      while (performance.now() < startedAt + 2500)
        expect(await answer()).toMatchObject({
          error: { code: "ERR_CONFIG_INVALID", problems: [expect.stringContaining("mistake")] },
        });
      const seconds = (performance.now() - startedAt) / 1000;
      expect((await gateway.starts("mooring.service")) - before).toBeLessThanOrEqual(seconds + 1);

      // Not even for somebody who went away without an answer.
      await gateway.until("systemctl is-failed mooring");
      const starts = await gateway.starts("mooring.service");
      await client(away);
      await expect.poll(() => gateway.starts("mooring.service"), { timeout: 20_000 }).toBe(starts + 1);
      expect(await startsSoon("mooring.service")).toBe(0);
      expect(await gateway.show("mooring.socket", "SubState")).toEqual({ SubState: "listening" });
    });

    it("is enough to mend", async () => {
      await gateway.until("systemctl is-failed mooring");
      gateway.configure("");
      await expectAllWell();
      expect(await gateway.show("mooring", "NRestarts")).toEqual({ NRestarts: "0" });
    });
  });

  describe("an agent that cannot even start", () => {
    const broken = { "mooring.service": instead("/bin/sh -c 'exit 78'") };

    it("is not started again and again for a client that it never took", async () => {
      await bootWith("", broken);
      await gateway.until("systemctl is-active gateway"); // which has the assignment without the agent, too
      await client(untilSentHome);
      expect(await startsSoon("mooring.service")).toBe(0);
      expect(await gateway.show("mooring.socket", "SubState")).toEqual({ SubState: "listening" });

      await bootWith("", { ...broken, "mooring.socket": "[Socket]\nFlushPending=no\n" });
      void client(untilSentHome).catch(() => {});
      const before = await gateway.starts("mooring.service"); // negative control
      await manyStarts("mooring.service", before);
      await bootWith("");
      await expectAllWell();
    });
  });

  describe("a wait for the assignment that fails", () => {
    const broken = instead("/bin/false");
    const wants = "-p Wants=mooring-assigned.target -p After=mooring-assigned.target";

    /** With somebody who waits, and no assignment. */
    async function waitWith(dropIn: string): Promise<void> {
      await gateway.sh("systemctl stop wants 2>/dev/null || true; rm -rf /var/lib/mooring/*");
      await bootWith(mistake, { "mooring-wait.service": dropIn });
      await gateway.sh(`systemd-run --no-block --unit=wants ${wants} sleep infinity`);
    }

    it("is tried again in a while, without end, and succeeds then by itself", async () => {
      await waitWith(broken);
      await gateway.until("systemctl show mooring-wait -p SubState | grep auto-restart");
      expect(await startsSoon("mooring-wait.service")).toBe(0);

      const before = await gateway.starts("mooring-wait.service"); // negative control
      await waitWith(`${broken}RestartSec=10ms\n`);
      await manyStarts("mooring-wait.service", before);
      gateway.write("/etc/systemd/system/mooring-wait.service.d/test.conf", "[Service]\nRestartSec=1s\n");
      await gateway.sh("systemctl daemon-reload");
      gateway.configure("");
      await expectAllWell();
      await gateway.until("systemctl is-active wants");
    });
  });
});
