// Whole numbers in options.

import { InvalidArgumentError } from "commander";

/** A parser for Commander that takes a whole number of this range, and says so otherwise. */
export function integer(least: number, most: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (/^\d+$/.test(text) && value >= least && value <= most) return value;
    throw new InvalidArgumentError(`It must be a whole number from ${least} to ${most}.`);
  };
}
