// Ten thousand gateways in virtual time, with Mooring's own decisions, pace and handshake, against a service that takes a
// thousand registrations a minute; and a naive agent, to show that the model can tell good manners from bad ones.

import { describe, expect, it } from "vitest";
import { mooring, naive } from "../support/fleet/agents.ts";
import { minute } from "../support/fleet/model.ts";
import { play, scenarios } from "../support/fleet/scenarios.ts";

const fleet = { devices: 10_000, quota: 1_000 };
/** In the same proportion, for hours in which everybody asks in vain. */
const smallFleet = { devices: 500, quota: 50 };

describe("a fleet", () => {
  it("asks for nothing when power returns and all have an assignment", async () => {
    const { requests, provisioned } = await play(mooring, scenarios.powerReturns, fleet);
    expect(requests).toEqual([]);
    expect(provisioned).toBe(fleet.devices);
  });

  it.each(["newScope", "newScopeTpm", "firstBootSplayed"] as const)(
    "stays within the quota and is served within its window: %s",
    async (name) => {
      const played = await play(mooring, scenarios[name], fleet);
      expect(played.provisioned).toBe(fleet.devices);
      expect(played.peak).toBeLessThanOrEqual(fleet.quota);
      expect(played.refused).toBe(0);
      const windowMs = name === "newScopeTpm" ? 30 * minute : 15 * minute;
      expect(played.doneAfterMs(1)).toBeLessThan(windowMs + minute / 2);
    },
  );

  it("spreads by itself when all of it boots for the first time in one second", async () => {
    const { peak, refused, minutesAbove, provisioned } = await play(mooring, scenarios.firstBoot, fleet);
    expect(provisioned).toBe(fleet.devices);
    // Nobody can know of the others before the first answer; after that it thins out.
    expect(peak).toBe(fleet.devices);
    expect(refused).toBeLessThan(3 * fleet.devices);
    expect(minutesAbove).toBeLessThan(10);
  });

  it("comes back to a service that could not be reached for an hour", async () => {
    const { requests, provisioned, doneAfterMs } = await play(mooring, scenarios.unreachable, smallFleet);
    expect(requests.slice(0, 60)).toEqual(Array(60).fill(0));
    expect(provisioned).toBe(smallFleet.devices);
    expect(doneAfterMs(0.99)).toBeLessThan(25 * minute);
  });

  it("comes back to a service that was broken for an hour, and asks it little meanwhile", async () => {
    const { requests, provisioned, doneAfterMs } = await play(mooring, scenarios.broken, smallFleet);
    for (const count of requests.slice(5, 60)) expect(count).toBeLessThan(0.4 * smallFleet.devices);
    expect(provisioned).toBe(smallFleet.devices);
    expect(doneAfterMs(1)).toBeLessThan(30 * minute);
  });

  it("waits in the slow lane to be enrolled, and is served within an hour after it is", async () => {
    const { requests, provisioned, doneAfterMs } = await play(mooring, scenarios.notEnrolled, smallFleet);
    for (const count of requests.slice(60, 120)) expect(count).toBeLessThanOrEqual(smallFleet.quota);
    expect(provisioned).toBe(smallFleet.devices);
    expect(doneAfterMs(1)).toBeLessThanOrEqual(61 * minute);
  });
});

describe("a naive fleet, as a control,", () => {
  it.each(["powerReturns", "newScope", "firstBoot"] as const)(
    "goes ten times over the quota: %s",
    async (name) => {
      const { peak, refused } = await play(naive, scenarios[name], fleet);
      expect(peak).toBeGreaterThan(10 * fleet.quota);
      expect(refused).toBeGreaterThan(50 * fleet.devices);
    },
  );

  it("hammers for as long as it is not enrolled", async () => {
    const { requests } = await play(naive, scenarios.notEnrolled, smallFleet);
    for (const count of requests.slice(1, 120)) expect(count).toBe(12 * smallFleet.devices);
  });
});
