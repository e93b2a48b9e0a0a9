import { expect, it } from "vitest";
import { type Before, isNewStart, type Wake } from "../../src/agent/occasions.ts";

const expired: Before["lastFailure"] = { code: "ERR_CERTIFICATE_EXPIRED" };
const unplugged: Before["lastFailure"] = { code: "ERR_CONNECT" };

it.each<[Wake, Before["lastFailure"], boolean, boolean]>([
  ["start", undefined, false, true],
  ["operator", unplugged, true, true],
  ["reload", expired, false, true],
  ["identity-changed", unplugged, false, true],
  ["clock-stepped", undefined, false, false],
  ["clock-stepped", unplugged, false, false],
  ["clock-stepped", expired, true, true],
  ["clock-waited", undefined, false, false],
  ["clock-waited", unplugged, false, false],
  ["clock-waited", expired, false, true],
  ["clock-waited", expired, true, false],
])(
  "%s after %o, with the wait for the clock given up: %s, is a new start: %s",
  (wake, lastFailure, isClockWaitGivenUp, expected) => {
    expect(isNewStart(wake, { lastFailure, isClockWaitGivenUp })).toBe(expected);
  },
);
