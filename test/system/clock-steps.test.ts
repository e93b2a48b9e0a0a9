import { describe, expect, it } from "vitest";
import { watchClockSteps } from "../../src/system/clock-steps.ts";
import { virtualClock } from "../support/virtual-clock.ts";

describe("watchClockSteps()", () => {
  it("tells each step once, whatever its direction, and no drift", async () => {
    const clock = virtualClock();
    const stop = new AbortController();
    const steps: number[] = [];
    const script = [0, 20_000, -1_600_000_000_000, 0, 160_000_000_000, 0];
    const sleeping = {
      ...clock,
      sleep: async (ms: number, options: { signal: AbortSignal }) => {
        await clock.sleep(ms, options);
        const stepMs = script.shift();
        if (stepMs === undefined) stop.abort();
        else clock.step(stepMs);
      },
    };
    await watchClockSteps((stepMs) => steps.push(stepMs), { clock: sleeping, signal: stop.signal });
    expect(steps).toEqual([20_000 - 1_600_000_000_000, 160_000_000_000]);
    expect(clock.sleptMs.every((ms) => ms >= 60_000)).toBe(true);
  });

  it("ends with its signal", async () => {
    const clock = virtualClock();
    await watchClockSteps(() => expect.unreachable(), { clock, signal: AbortSignal.abort() });
    expect(clock.sleptMs).toEqual([]);
  });
});
