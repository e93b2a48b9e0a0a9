// The power goes, at any moment of provisioning and of provisioning again: the gateway never loses an assignment that it
// had, and always comes to one.

import { setTimeout as pause } from "node:timers/promises";
import { afterAll, beforeAll, expect, it } from "vitest";
import { say } from "./image.ts";
import { openPlant, type Plant, statusOf, worksAt, worksFor } from "./plant.ts";
import type { Guest } from "./power.ts";

/** Cuts while there is no assignment yet, and while another is being fetched. */
const [early, late] = [4, 6];
/** Longer than provisioning takes. */
const spanMs = 12_000;

let plant: Plant;
beforeAll(async () => {
  plant = await openPlant("power-cut");
  await plant.enroll();
  plant.gateway.deliver(plant.files);
});
afterAll(() => plant?.[Symbol.asyncDispose]());

it(`comes to an assignment although its power was cut ${early} times before`, async () => {
  const { gateway, network } = plant;
  for (let nth = 0; nth < early; nth++) {
    const guest = await gateway.boot({ network });
    await cutWithin(guest, nth, early);
  }
  const guest = await gateway.boot({ network });
  expect(await worksFor(guest, 300)).toBe(worksAt());
});

it(`has a usable assignment at every boot after a cut while it fetched another, ${late} times`, async () => {
  const { gateway, network } = plant;
  for (let nth = 0; nth < late; nth++) {
    const guest = await gateway.boot({ network });
    expect(await worksFor(guest)).toBe(worksAt());
    await guest.sh("mooring reprovision");
    await cutWithin(guest, nth, late);
  }
  const guest = await gateway.boot({ network });
  expect(await worksFor(guest)).toBe(worksAt());
  await guest.sh("mooring reprovision --wait");
  expect(await statusOf(guest)).toMatchObject({ usable: { yes: true }, confirmed: { by: "service" } });
});

/** In the nth part of so many of the time that provisioning takes, at a moment that chance picks. */
async function cutWithin(guest: Guest, nth: number, parts: number): Promise<void> {
  const afterMs = Math.round((spanMs * (nth + Math.random())) / parts);
  say(`power-cut: after ${afterMs} ms`);
  await pause(afterMs);
  await guest.cut();
}
