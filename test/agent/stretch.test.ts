import { expect, it } from "vitest";
import { createStretch } from "../../src/agent/stretch.ts";
import { manualClock } from "../support/manual-clock.ts";

it("begins when it is first asked for, and is over once", () => {
  const clock = manualClock();
  const stretch = createStretch(clock);
  clock.pass(500);
  expect(stretch.leftOf(100)).toBe(100);
  clock.pass(60);
  expect(stretch.leftOf(100)).toBe(40);
  clock.pass(60);
  expect(stretch.leftOf(100)).toBe(0);
});

it("does not notice that the wall clock is set", () => {
  const clock = manualClock();
  const stretch = createStretch(clock);
  stretch.leftOf(100);
  clock.setWall(0);
  expect(stretch.leftOf(100)).toBe(100);
});

it("begins anew after its end", () => {
  const clock = manualClock();
  const stretch = createStretch(clock);
  stretch.leftOf(100);
  clock.pass(60);
  stretch.end();
  expect(stretch.leftOf(100)).toBe(100);
});
