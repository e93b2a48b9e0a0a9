import { describe, expect, it } from "vitest";
import { elapsedMs, isUndatable, type Moment, momentNow, systemBoot } from "../../src/system/moment.ts";

const today = Date.UTC(2026, 5, 1);
const hour = 3_600_000;
const moment = (bootId: string, uptimeMs: number, at: number): Moment => ({ bootId, uptimeMs, at });

describe("elapsedMs()", () => {
  it.each([0, today - 50 * 365 * 24 * hour, today + 5 * 365 * 24 * hour])(
    "counts the machine's running time within a boot, whatever the wall clock becomes: %i",
    (at) => {
      expect(elapsedMs(moment("a", 1_000, today), moment("a", 61_000, at))).toBe(60_000);
    },
  );

  it("counts by the wall clock across boots, time without power included", () => {
    expect(elapsedMs(moment("a", 9e9, today), moment("b", 5_000, today + hour))).toBe(hour);
  });

  it.each([
    ["is wrong now", moment("a", 1_000, today), moment("b", 5_000, 0)],
    ["was wrong then", moment("a", 1_000, 10_000), moment("b", 5_000, today)],
  ])("knows only how long this boot is where the wall clock %s", (_when, since, now) => {
    expect(elapsedMs(since, now)).toBe(5_000);
    expect(isUndatable(since, now)).toBe(true);
  });

  it("has the wall clock alone where boots have no names", () => {
    expect(elapsedMs({ at: today }, { at: today + 7 })).toBe(7);
    expect(elapsedMs({ at: today }, { at: today - 7 })).toBe(0);
  });
});

describe("this machine", () => {
  it("names its boot, and counts from it", () => {
    const now = momentNow({ now: () => today }, systemBoot());
    expect(now.bootId).toMatch(/^[0-9a-f-]{36}$/);
    expect(now.uptimeMs).toBeGreaterThan(0);
    expect(systemBoot().bootId).toBe(now.bootId);
  });
});
