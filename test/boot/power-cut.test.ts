// The power goes, at any moment of provisioning and of provisioning again: the gateway never loses an assignment that it
// had, and always comes to one.

import { setTimeout as pause } from "node:timers/promises";
import { afterAll, beforeAll, expect, it } from "vitest";
import { say } from "./image.ts";
import { openPlant, type Plant, statusOf, worksAt, worksFor } from "./plant.ts";
import type { Guest } from "./power.ts";

/** Cuts while there is no assignment yet, and while another is being fetched. */
const [early, late] = [4, 7];

let plant: Plant;
beforeAll(async () => {
  plant = await openPlant("power-cut");
  await plant.enroll();
  plant.gateway.deliver(plant.files);
});
afterAll(() => plant?.[Symbol.asyncDispose]());

/**
 * As on a real gateway, somebody else writes, too, and never waits for the disk: there is always something in its cache
 * that a cut can lose, and the agent's own blocks go there among others.
 */
const otherProgram = `dd if=/dev/zero of=/var/tmp/other bs=4k count=64 2>/dev/null; sync /var/tmp/other
  (while dd if=/dev/zero of=/var/tmp/other bs=4k count=64 oflag=direct conv=notrunc; do sleep 0.2; done) >/dev/null 2>&1 &`;

/** Blocks that the disk had taken, and lost. */
let forgotten = 0;
/** How many cuts fell into an attempt, which the next boot finds without an end. */
let interrupted = 0;

it(`comes to an assignment although its power was cut ${early} times before`, async () => {
  const { gateway, network } = plant;
  for (let nth = 0; nth < early; nth++) {
    const guest = await gateway.boot({ network });
    await tellWhatWasLeft(guest);
    await guest.until("systemctl is-active mooring");
    await cutWithin(guest, nth / early, (nth + 1) / early, 6000);
  }
  const guest = await gateway.boot({ network });
  await tellWhatWasLeft(guest);
  expect(await worksFor(guest, 300)).toBe(worksAt());
});

it(`has a usable assignment at every boot after a cut while it fetched another, ${late} times`, async () => {
  const { gateway, network } = plant;
  for (let nth = 0; nth < late; nth++) {
    const guest = await gateway.boot({ network });
    await tellWhatWasLeft(guest);
    expect(await worksFor(guest)).toBe(worksAt());
    // Each time: how fast this machine is may change.
    const spanMs = await timeOf(() => guest.sh("mooring reprovision --wait"));
    // Not waited for: it would be half done before the time begins.
    await guest.sh("mooring reprovision >/dev/null 2>&1 &");
    await cutWithin(guest, nth / late, (nth + 1) / late, spanMs);
  }
  const guest = await gateway.boot({ network });
  await tellWhatWasLeft(guest);
  expect(await worksFor(guest)).toBe(worksAt());
  await guest.sh("mooring reprovision --wait");
  expect(await statusOf(guest)).toMatchObject({ usable: { yes: true }, confirmed: { by: "service" } });
});

it("was cut off in the middle, and not only beside it", () => {
  expect(forgotten).toBeGreaterThan(0);
  say(`power-cut: ${interrupted} of ${early + late} cuts fell into an attempt`);
  expect(interrupted).toBeGreaterThan(0);
});

/** At a moment that chance picks between these shares of the span. */
async function cutWithin(guest: Guest, from: number, to: number, spanMs: number): Promise<void> {
  const afterMs = Math.round(spanMs * (from + Math.random() * (to - from)));
  await guest.sh(otherProgram);
  await pause(afterMs);
  const { kept, lost } = await guest.cut();
  forgotten += lost;
  say(`power-cut: cut ${afterMs} ms after the beginning, of about ${Math.round(spanMs)}`);
  say(`power-cut: of ${kept + lost} blocks that the disk had not kept yet, ${lost} are lost`);
}

async function timeOf(act: () => Promise<unknown>): Promise<number> {
  const from = performance.now();
  await act();
  return performance.now() - from;
}

/** As it was before the agent was started again. */
async function tellWhatWasLeft(guest: Guest): Promise<void> {
  const left = await guest.sh(`cd /run/left 2>/dev/null || exit 0
    grep -q '"running"' attempts.json && echo an attempt without an end || echo no attempt begun
    echo "generations:" $(ls generations 2>/dev/null); readlink current || echo nothing current`);
  if (left.includes("without an end")) interrupted++;
  if (left !== "") say(`power-cut: left: ${left.replaceAll("\n", ", ")}`);
}
