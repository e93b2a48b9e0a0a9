// When a certificate that ends is told of, and how often.

import { beforeEach, describe, expect, it } from "vitest";
import { createCertificateAlarm, daysUntil } from "../../src/agent/certificate-end.ts";
import type { Facts } from "../../src/agent/decide.ts";
import { type ManualClock, manualClock } from "../support/manual-clock.ts";
import { type RecordingLog, recordingLog } from "../support/recording-log.ts";

const day = 86_400_000;

let clock: ManualClock;
let log: RecordingLog;
beforeEach(() => {
  clock = manualClock();
  log = recordingLog();
});

function factsOf(validity: { from: number; to: number } | undefined, isClockPlausible = true): Facts {
  return {
    assignment: undefined,
    wanted: {
      ...{ endpoint: "dps.example", idScope: "0ne0000AAAA", attestation: "x509" },
      ...(validity && { validity }),
    },
    policy: { onChange: "auto", onDisenrolled: "keep" },
    operatorAsks: false,
    isClockPlausible,
  };
}

/** Valid for so many days, of which so many are left. */
const valid = (days: number, left: number): { from: number; to: number } => {
  const to = clock.now() + left * day;
  return { from: to - days * day, to };
};

describe("a certificate", () => {
  it.each([
    [365, 31, false],
    [365, 29, true],
    [365, -1, true],
    [8, 3, false],
    [8, 1, true],
  ])("of %i days with %i left is told of: %s", (days, left, isTold) => {
    createCertificateAlarm({ clock, log })(factsOf(valid(days, left)));
    expect(log.named("warn")).toEqual(isTold ? ["certificate.ends"] : []);
  });

  it("is told of once a day, whatever becomes of the clock, and no more once it is renewed", () => {
    const tell = createCertificateAlarm({ clock, log });
    const facts = factsOf(valid(365, 20));
    const told = (): number => log.named("warn").length;
    tell(facts);
    clock.setWall(clock.now() + 2 * day);
    tell(facts);
    expect(told()).toBe(1);
    clock.pass(day);
    tell(facts);
    expect(told()).toBe(2);
    clock.pass(day);
    tell(factsOf(valid(365, 300)));
    expect(told()).toBe(2);
  });

  it("is not judged by a clock that cannot be right, and nothing is told where there is none", () => {
    const tell = createCertificateAlarm({ clock, log });
    tell(factsOf(valid(365, 5), false));
    tell(factsOf(undefined));
    expect(log.named("warn")).toEqual([]);
  });

  it("has whole days left, and fewer than none when it is over", () => {
    expect([1.5, 0.5, -0.5].map((days) => daysUntil(days * day, 0))).toEqual([1, 0, -1]);
  });
});
