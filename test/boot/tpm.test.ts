// The chip that everything stands on: missing, come back, and replaced by another.

import { afterAll, beforeAll, expect, it } from "vitest";
import { openPlant, type Plant, statusOf, worksAt, worksFor } from "./plant.ts";

let plant: Plant;
beforeAll(async () => {
  plant = await openPlant("tpm");
  await plant.enroll();
  plant.gateway.deliver(plant.files);
});
afterAll(() => plant?.[Symbol.asyncDispose]());

it("waits for a TPM that is configured and not there, and provisions at the boot that has it", async () => {
  const { gateway, network } = plant;
  const without = await gateway.boot({ network, hasTpm: false });
  await without.until("mooring status --json | grep ERR_TPM_UNAVAILABLE");
  expect(await without.sh("systemctl is-active mooring")).toBe("active");
  expect(await without.sh("systemctl show mooring -p NRestarts --value")).toBe("0");
  expect(without.sent()).toEqual([]);
  await without.powerOff();

  const guest = await gateway.boot({ network });
  expect(await worksFor(guest)).toBe(worksAt());
  await guest.powerOff();
});

it("keeps its assignment beside another TPM, and changes over when an operator has enrolled that", async () => {
  const { gateway, network } = plant;
  await gateway.replaceTpm();
  const guest = await gateway.boot({ network });
  expect(await guest.sh("cat /var/lib/mooring/hub.env")).toContain('IOTHUB_DEVICE_ID="gw-0001"');
  expect(await guest.sh("mooring reprovision --wait 2>&1 || true")).toMatch(/ERR_(TPM_CHANGED|UNAUTHORIZED)/);
  expect(await guest.sh("systemctl show mooring -p NRestarts --value")).toBe("0");
  await guest.powerOff();

  await plant.enroll();
  const enrolled = await gateway.boot({ network });
  await enrolled.until("systemctl is-active mooring");
  await enrolled.sh("mooring reprovision --wait");
  expect(await statusOf(enrolled)).toMatchObject({ usable: { yes: true }, confirmed: { by: "service" } });
  expect(await worksFor(enrolled)).toBe(worksAt());
});
