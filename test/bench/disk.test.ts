import { expect, it } from "vitest";
import { type Disk, diskText, diskVerdicts } from "./disk.ts";

const mebibyte = 2 ** 20;
const disk = (...states: readonly number[]): Disk => ({
  installed: [
    { part: "one", bytes: 3 * mebibyte },
    { part: "other", bytes: mebibyte / 2 },
  ],
  written: states.map((state, after) => ({ after, state, compiled: 0 })),
});
const isMet = (...states: readonly number[]): boolean | undefined => diskVerdicts(disk(...states))[0]?.met;

it("finds the aim met where the state does not grow, and missed where it does or nothing was measured", () => {
  expect(isMet(40_960, 40_960)).toBe(true);
  expect(isMet(40_960, 45_056)).toBe(false);
  expect(isMet(0, 0)).toBe(false);
  expect(isMet()).toBe(false);
});

it("adds the parts of the package up", () => {
  expect(diskText(disk())).toMatch(/^in all +3\.5 MiB$/m);
});
