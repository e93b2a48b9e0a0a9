// What a fleet lives by: the first boot brings an assignment without anybody's help, every later one needs nobody.

import { afterAll, beforeAll, expect, it } from "vitest";
import { say } from "./image.ts";
import { openPlant, type Plant, statusOf, tpmSettings, worksAt, worksFor } from "./plant.ts";
import type { Guest } from "./power.ts";

let plant: Plant;
beforeAll(async () => {
  plant = await openPlant("first-boot", `${tpmSettings}[daemon]\nidle_exit = "20s"`);
  await plant.enroll();
  plant.gateway.deliver(plant.files);
});
afterAll(() => plant?.[Symbol.asyncDispose]());

it("provisions by itself at the first boot, and starts who waits for the assignment", async () => {
  const { gateway, network } = plant;
  const guest = await gateway.boot({ network });
  expect(await worksFor(guest)).toBe(worksAt());

  expect(await statusOf(guest)).toMatchObject({
    usable: { yes: true, assignment: { attestation: "tpm", assignedHub: "first.hub.example" } },
    confirmed: { by: "service" },
  });
  const ours = await guest.sh("ps -eo user=,args= | grep /usr/lib/mooring/ | grep -v grep");
  expect(ours).toMatch(/^mooring .*run$/m);
  expect(ours).not.toMatch(/^root/m);
  expect(await guest.sh("find /var/lib/mooring ! -user mooring")).toBe("");
  expect(await guest.sh("find /var/lib/mooring /var/cache/mooring -perm /022 ! -type l")).toBe("");
  expect(await guest.sh("tpm2_getcap handles-persistent")).toContain("0x81000100");

  // Where that driver is a module, systemd knows it when it lets the agent at its devices.
  const exit = await guest.sh("systemctl show modprobe@tpm -p ExecMainExitTimestampMonotonic --value");
  const start = await guest.sh("systemctl show mooring -p ExecMainStartTimestampMonotonic --value");
  expect(Number(exit)).toBeGreaterThan(0);
  expect(Number(exit)).toBeLessThan(Number(start));

  await expectCleanJournal(guest);
  const told = await guest.sh("journalctl -q -b -u mooring -o cat _COMM=node");
  expect(told.split("\n").length).toBeLessThanOrEqual(8);
  expect(guest.sent()).toContainEqual({ protocol: "tcp", to: "10.0.2.100", port: 443 });
  await report(guest, "first boot");
  await guest.powerOff();
});

it("publishes the same assignment at the second boot, with no network and nothing said to it", async () => {
  const guest = await plant.gateway.boot();
  expect(await worksFor(guest)).toBe(worksAt());
  await report(guest, "second boot");
  await expectCleanJournal(guest);

  // At rest there is nobody, and whoever asks brings the agent back.
  await guest.until('test "$(systemctl is-active mooring)" = inactive');
  expect(await guest.sh("pgrep -u mooring || true")).toBe("");
  expect(await statusOf(guest)).toMatchObject({ alive: { running: true } });
  await expectCleanJournal(guest);
  expect(guest.sent()).toEqual([]);
});

async function expectCleanJournal(guest: Guest): Promise<void> {
  expect(await guest.sh("systemctl --failed --plain --no-legend")).toBe("");
  expect(await guest.sh("journalctl -q -b -p warning -o cat -u 'mooring*'")).toBe("");
}

/** When systemd heard READY, and what it cost. */
async function report(guest: Guest, name: string): Promise<void> {
  const shown = await guest.sh(
    "systemctl show mooring -p ExecMainStartTimestampMonotonic,ActiveEnterTimestampMonotonic,CPUUsageNSec,MemoryCurrent",
  );
  const figures = Object.fromEntries(shown.split("\n").map((line) => line.split("=")));
  const [started, ready] = ["ExecMainStart", "ActiveEnter"].map(
    (what) => figures[`${what}TimestampMonotonic`] / 1e6,
  );
  const share = (ready ?? 0) - (started ?? 0);
  say(`${name}: READY ${ready?.toFixed(1)} s after the kernel's start, ${share.toFixed(1)} s of them ours`);
  say(`${name}: ${figures.CPUUsageNSec / 1e9} s of CPU, ${(figures.MemoryCurrent / 2 ** 20).toFixed(0)} MiB`);
}
