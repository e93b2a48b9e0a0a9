// A gateway whose root file system is never written to, as on devices that change between two images: what the agent
// keeps has a disk of its own, and everything else below /var is gone with the power.

import { afterAll, beforeAll, expect, it } from "vitest";
import { openPlant, type Plant, worksAt, worksFor } from "./plant.ts";
import type { Guest } from "./power.ts";

const stateDisk = `[Mount]
What=/dev/disk/by-label/state
Where=/var/lib/mooring
Type=ext4
`;

let plant: Plant;
beforeAll(async () => {
  plant = await openPlant("read-only");
  await plant.enroll();
  plant.gateway.addDisk("state");
  plant.gateway.deliver({ ...plant.files, "etc/systemd/system/var-lib-mooring.mount": stateDisk });
  // Once as the factory has it: its files are taken over.
  const guest = await plant.gateway.boot();
  await guest.powerOff();
});
afterAll(() => plant?.[Symbol.asyncDispose]());

it("provisions on a root file system that cannot be written", async () => {
  const guest = await plant.gateway.boot({ network: plant.network, isReadOnly: true });
  expect(await worksFor(guest)).toBe(worksAt());
  await expectReadOnly(guest);
  await guest.cut();
});

it("has its assignment at the next boot, without a network", async () => {
  const guest = await plant.gateway.boot({ isReadOnly: true });
  expect(await worksFor(guest)).toBe(worksAt());
  await expectReadOnly(guest);
  expect(guest.sent()).toEqual([]);
});

async function expectReadOnly(guest: Guest): Promise<void> {
  expect(await guest.sh("touch /etc/mooring/x 2>&1 || true")).toContain("Read-only file system");
  expect(await guest.sh("findmnt -no FSTYPE /var")).toBe("tmpfs");
  expect(await guest.sh("findmnt -no LABEL /var/lib/mooring")).toBe("state");
  expect(await guest.sh("systemctl list-units --failed --plain --no-legend 'mooring*'")).toBe("");
  expect(await guest.sh("journalctl -q -b -p warning -o cat -u 'mooring*'")).toBe("");
}
