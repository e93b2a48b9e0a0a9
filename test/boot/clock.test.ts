// A board without a battery: it comes up long ago, and the time arrives later.

import { afterAll, beforeAll, expect, it } from "vitest";
import { openPlant, type Plant, statusOf, tpmSettings, worksAt, worksFor } from "./plant.ts";

let plant: Plant;
beforeAll(async () => {
  plant = await openPlant("clock", `${tpmSettings}[daemon]\nclock_wait = "1h"`);
  await plant.enroll();
  plant.gateway.deliver(plant.files);
});
afterAll(() => plant?.[Symbol.asyncDispose]());

it("waits for the time at a first boot in 1970, and provisions when it has come", async () => {
  const { gateway, network } = plant;
  const guest = await gateway.boot({ network, clock: "1970-01-01T00:00:00" });
  await guest.until("mooring status --json | grep implausible");
  expect(await statusOf(guest)).toMatchObject({ usable: { yes: false }, clock: "implausible" });
  expect(guest.sent()).toEqual([]);

  await guest.sh(`date -u -s @${Math.floor(Date.now() / 1000)}`);
  expect(await worksFor(guest)).toBe(worksAt());
  await guest.powerOff();
});

it("publishes at a later boot in 1970 as if nothing were wrong", async () => {
  const guest = await plant.gateway.boot({ clock: "1970-01-01T00:00:00" });
  expect(await worksFor(guest)).toBe(worksAt());
  expect(guest.sent()).toEqual([]);
});
