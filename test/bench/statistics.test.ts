import { expect, it } from "vitest";
import { slopeOf } from "./statistics.ts";

it("the slope of a line is found through noise that cancels out", () => {
  const line = Array.from({ length: 40 }, (_, x) => [x, 7 + 3 * x + (x % 2 === 0 ? 1 : -1)] as const);
  expect(slopeOf(line)).toBeCloseTo(3, 1);
  expect(
    slopeOf([
      [1, 5],
      [2, 5],
      [9, 5],
    ]),
  ).toBe(0);
});
