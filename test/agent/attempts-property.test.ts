// Whatever a machine goes through, in any order: the budget holds, no wait is without end, and nothing in the file can
// hold an agent up. Sequences are generated; a failing one is shrunk to its shortest.

import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { attemptsOn } from "../../src/agent/attempt-history.ts";
import { type AttemptRecord, decodeRecord, encodeRecord } from "../../src/agent/attempt-record.ts";
import { openAttempts } from "../../src/agent/attempts.ts";
import { type ErrorCode, errorTable, MooringError } from "../../src/errors.ts";
import { silentLog } from "../../src/system/log.ts";
import { aMachine } from "../support/boot-clock.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

const minute = 60_000;
const hour = 60 * minute;
const today = Date.UTC(2026, 0, 1);

const codes = Object.keys(errorTable) as ErrorCode[];

const act = fc.oneof(
  { weight: 3, arbitrary: fc.record({ do: fc.constant("killed" as const) }) },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant("fails" as const),
      code: fc.constantFrom(...codes),
      retryAfterMs: fc.option(fc.nat(hour), { nil: undefined }),
      hasAssignment: fc.boolean(),
    }),
  },
  // Nothing has to be waited for after a success: what uses the budget up.
  fc.record({ do: fc.constant("succeeds" as const), times: fc.integer({ min: 1, max: 20 }) }),
  fc.record({ do: fc.constant("rests" as const), ms: fc.nat(2 * hour) }),
  // The wall clock is wrong, by years; then somebody sets it right. Behind: before there was any Mooring.
  fc.record({ do: fc.constant("clock-behind" as const), years: fc.integer({ min: 2, max: 56 }) }),
  fc.record({ do: fc.constant("clock-ahead" as const), years: fc.integer({ min: 1, max: 20 }) }),
  fc.record({ do: fc.constant("clock-right" as const) }),
  fc.record({ do: fc.constant("reboots" as const), offMs: fc.nat(hour), keepsTime: fc.boolean() }),
);

/** An agent that honours what it is told to wait, in a machine that the acts happen to. */
function liveThrough(
  acts: readonly (typeof act extends fc.Arbitrary<infer Act> ? Act : never)[],
  seed: number,
) {
  const machine = aMachine(today);
  const random = fc.sample(fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), {
    numRuns: 500,
    seed,
  });
  let stored: string | undefined;
  let drawn = 0;
  const open = () =>
    attemptsOn(
      {
        read: () => (stored === undefined ? undefined : decodeRecord(stored)),
        write: (record) => {
          stored = encodeRecord(record);
        },
      },
      { ...machine, random: () => random[drawn++ % random.length] ?? 0 },
    );
  let real = 0;
  const pass = (ms: number): void => {
    machine.pass(ms);
    real += ms;
  };
  const waits: number[] = [];
  /** When the service was asked, in lives that one clock can measure. */
  const lives: number[][] = [[]];
  let isAskedSinceBoot = true;
  for (const one of acts.flatMap((one) => (one.do === "succeeds" ? Array(one.times).fill(one) : [one]))) {
    if (one.do === "rests") pass(one.ms);
    if (one.do === "clock-behind") machine.setClock(today - one.years * 365 * 24 * hour);
    if (one.do === "clock-ahead") {
      machine.setClock(today + one.years * 365 * 24 * hour);
      // Nobody can tell this from a machine that was switched off for years.
      if (!isAskedSinceBoot) lives.push([]);
    }
    if (one.do === "clock-right") machine.setClock(today + real);
    if (one.do === "reboots") {
      isAskedSinceBoot = false;
      real += one.offMs;
      machine.reboot(one.keepsTime ? today + real : 0);
    }
    if (one.do !== "killed" && one.do !== "fails" && one.do !== "succeeds") continue;
    let waitMs = 0;
    // Twice, where the clock catches up meanwhile: only then does it show how long ago the failure was.
    for (let again = 0; again < 2; again++) {
      const { forMs } = open().pause() ?? { forMs: 0 };
      pass(forMs);
      waitMs += forMs;
    }
    waits.push(waitMs);
    expect(open().pause()).toBeUndefined();
    const attempts = open();
    attempts.begin("first-boot");
    isAskedSinceBoot = true;
    if (one.do === "succeeds") attempts.succeeded();
    if (one.do === "fails") {
      const { code, retryAfterMs, hasAssignment } = one;
      attempts.failed(new MooringError(code, "no", retryAfterMs === undefined ? {} : { retryAfterMs }), {
        assignedAt: hasAssignment ? "2026-01-02T03:04:05.000Z" : undefined,
      });
    }
    const isFree = one.do === "fails" && freeCodes.has(one.code);
    if (!isFree) lives.at(-1)?.push(real);
  }
  return { waits, lives };
}

/** What never reaches the service, or does with a clock that is wrong. */
const freeCodes = new Set<ErrorCode>([
  ...(["ERR_DNS", "ERR_CONNECT", "ERR_PROXY", "ERR_LOCKED"] as const),
  ...codes.filter((code) => errorTable[code].retry === "after"),
]);

describe("attempts, whatever happens to the machine,", () => {
  it("ask at most twenty times in any hour, and wait five hours at most", () => {
    fc.assert(
      fc.property(fc.array(act, { maxLength: 80, size: "max" }), fc.integer(), (acts, seed) => {
        const { waits, lives } = liveThrough(acts, seed);
        for (const ms of waits) expect(ms).toBeLessThanOrEqual(5 * hour);
        for (const askedAt of lives) {
          const mostInAnHour = askedAt.map(
            (from, at) => askedAt.slice(at).filter((t) => t < from + hour).length,
          );
          expect(Math.max(0, ...mostInAnHour)).toBeLessThanOrEqual(20);
        }
      }),
      { numRuns: 200 },
    );
  });

  it("begin with whatever is in the file", () => {
    const directory = temporaryDirectory();
    mkdirSync(join(directory, "quarantine"));
    const moment = fc.record({
      at: fc.oneof(fc.integer(), fc.double()),
      uptimeMs: fc.double(),
      bootId: fc.string(),
    });
    const almost = fc.record(
      {
        schemaVersion: fc.oneof(fc.constant(1), fc.anything()),
        failures: fc.oneof(fc.dictionary(fc.string(), fc.anything()), fc.record({ slow: fc.double() })),
        wait: fc.record({ delayMs: fc.double(), because: fc.string(), from: moment }),
        budget: fc.record({ left: fc.double(), from: moment }),
        running: fc.record({ trigger: fc.string(), from: moment }),
        timeFloor: fc.double(),
      },
      { requiredKeys: [] },
    );
    fc.assert(
      fc.property(
        fc.oneof(
          fc.json(),
          almost.map((value) => JSON.stringify(value) ?? ""),
        ),
        (content) => {
          writeFileSync(join(directory, "attempts.json"), content);
          const attempts = openAttempts(directory, { ...aMachine(today), log: silentLog });
          expect(attempts.pause()?.forMs ?? 0).toBeLessThanOrEqual(49 * hour);
          expect(Number.isFinite(attempts.failures)).toBe(true);
          attempts.splay("timer", "gw", hour);
        },
      ),
      { numRuns: 50 },
    );
  });

  it("are read again as they were written", () => {
    const kept: AttemptRecord[] = [];
    const history = attemptsOn(
      { read: () => kept.at(-1), write: (record) => void kept.push(record) },
      aMachine(today),
    );
    history.splay("timer", "gw", hour);
    history.setTimeFloor(5);
    history.begin("timer", { asking: "x" });
    history.failed(new MooringError("ERR_DISABLED", "no", { serviceErrorCode: 1, trackingId: "t" }), {
      assignedAt: "2026-01-02T03:04:05.000Z",
    });
    expect(kept).toHaveLength(4);
    for (const record of kept) expect(decodeRecord(encodeRecord(record))).toEqual(record);
  });
});
