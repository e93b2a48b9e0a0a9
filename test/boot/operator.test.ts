// A gateway that was switched on too early, and what an operator then does from afar: configuration, enrollment, another
// hub. Nobody starts it again.

import { afterAll, beforeAll, expect, it } from "vitest";
import { openPlant, type Plant, secondHub, statusOf, worksAt, worksFor } from "./plant.ts";
import type { Guest } from "./power.ts";

let plant: Plant;
let guest: Guest;
beforeAll(async () => {
  plant = await openPlant("operator");
  guest = await plant.gateway.boot({ network: plant.network });
});
afterAll(() => plant?.[Symbol.asyncDispose]());

const restarts = (): Promise<string> => guest.sh("systemctl show mooring -p NRestarts --value");

it("says that it is not configured, and starts by itself once it is", async () => {
  await guest.until("systemctl is-failed mooring");
  expect(await guest.sh("systemctl show mooring -p ExecMainStatus --value")).toBe("78");
  expect(await guest.sh("journalctl -q -b -u mooring -o cat")).toContain("id_scope");
  expect(await restarts()).toBe("0");

  await guest.sh("mkdir -p /etc/mooring/config.d");
  for (const [path, content] of Object.entries(plant.files))
    await guest.sh(`cat >/${path} <<'END'\n${content}\nEND`);
  await guest.until("systemctl is-active mooring");
});

it("provisions without a reboot when its enrollment is made later, and does not loop until then", async () => {
  await guest.until("mooring status --json | grep ERR_NOT_ENROLLED");
  expect(await restarts()).toBe("0");
  expect(await guest.sh("systemctl is-active gateway || true")).toBe("inactive");
  expect(await guest.sh("systemctl --failed --plain --no-legend")).toBe("");

  await plant.enroll();
  expect(await worksFor(guest, 300)).toBe(worksAt());
  expect(await restarts()).toBe("0");
});

it("moves to another hub when an operator says so, and restarts who works with it", async () => {
  await plant.enroll(secondHub);
  await guest.sh("mooring reprovision --wait");
  await guest.until(`journalctl -q -b -u gateway -o cat | grep '${worksAt(secondHub)}'`);
  expect(await guest.sh(". /var/lib/mooring/hub.env; echo $IOTHUB_HOSTNAME")).toBe(secondHub);
  expect(await guest.sh("systemctl --failed --plain --no-legend")).toBe("");
});

it("is killed and started again when it hangs", async () => {
  await guest.sh(`mkdir -p /run/systemd/system/mooring.service.d
    printf '[Service]\\nWatchdogSec=10s\\n' >/run/systemd/system/mooring.service.d/watchdog.conf
    systemctl daemon-reload; systemctl restart mooring
    kill -STOP $(systemctl show mooring -p MainPID --value)`);
  await guest.until('test "$(systemctl show mooring -p NRestarts --value)" -ge 1');
  await guest.until("systemctl is-active mooring");
  expect(await statusOf(guest)).toMatchObject({ usable: { yes: true } });
});
