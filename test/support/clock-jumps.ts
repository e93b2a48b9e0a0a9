// A provisioning during which somebody sets the clock, at every moment at which the agent looks at it or tells what it
// does. Waiting takes no time; the time that passes is that of the service, too.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, vi } from "vitest";
import { provision } from "../../src/agent/provision.ts";
import { loadCurrent } from "../../src/assignment/generations.ts";
import type { Config } from "../../src/config/schema.ts";
import { asMooringError, causeText, type ErrorCode } from "../../src/errors.ts";
import type { Clock } from "../../src/system/clock.ts";
import { type Log, silentLog } from "../../src/system/log.ts";

const year = 365 * 86_400_000;
export const jumps: [string, number][] = [
  ["50 years back", -50 * year],
  ["5 years ahead", 5 * year],
];

/** Deadlines are longer than anything an attempt waits for, and are not to come. */
const deadlineMs = 60_000;

let passedMs = 0;

/** The true time: of the service. */
export const trueClock: Clock = {
  now: () => Date.now() + passedMs,
  monotonic: () => performance.now() + passedMs,
  sleep: () => new Promise(() => {}),
};

interface Attempt {
  /** How often the clock was read or something was told. */
  readonly moments: number;
  readonly sleptMs: readonly number[];
  readonly failure: { readonly code: ErrorCode; readonly text: string } | undefined;
}

/** Reprovisions, with the clock set by `stepMs` at the nth moment. */
async function attempt(config: Config, nth: number, stepMs: number): Promise<Attempt> {
  const sleptMs: number[] = [];
  let moments = 0;
  const stepped = (): number => (moments >= nth ? stepMs : 0);
  const clock: Clock = {
    now: () => {
      moments++;
      return trueClock.now() + stepped();
    },
    monotonic: () => {
      moments++;
      return trueClock.monotonic();
    },
    sleep: async (ms, { signal }) => {
      signal.throwIfAborted();
      moments++;
      if (ms >= deadlineMs)
        return new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
      sleptMs.push(ms);
      passedMs += ms;
    },
  };
  const told = (): void => void moments++;
  const log: Log = { debug: told, info: told, warn: told, error: told };
  const { signal } = new AbortController();
  const failure = await provision(config, { operatorAsks: true, clock, log, signal }).then(
    () => undefined,
    (error: unknown) => ({ code: asMooringError(error).code, text: causeText(error) }),
  );
  return { moments, sleptMs, failure };
}

/**
 * Sets the clock at every moment of a reprovisioning, or at each `every`th; what has to hold then does. Answers with the
 * codes seen.
 */
export async function jumpEverywhere(
  config: Config,
  stepMs: number,
  { every = 1 } = {},
): Promise<Set<ErrorCode | undefined>> {
  vi.spyOn(Math, "random").mockReturnValue(0.5);
  const inForce = () => loadCurrent(config.state.directory, { log: silentLog });
  const control = await attempt(config, Number.POSITIVE_INFINITY, stepMs);
  expect(control.failure).toBe(undefined);
  expect(control.sleptMs).not.toEqual([]);

  const codes = new Set<ErrorCode | undefined>();
  for (let nth = 0; nth <= control.moments; nth += every) {
    const before = inForce();
    const { failure, sleptMs } = await attempt(config, nth, stepMs);
    const after = inForce();
    codes.add(failure?.code);
    // Delays are those of the monotonic clock, whatever the other one says.
    expect(Math.max(...sleptMs, 0)).toBeLessThanOrEqual(Math.max(...control.sleptMs));
    if (failure) {
      expect(failure.text, `at moment ${nth}`).toContain("this machine's clock");
      expect(after).toEqual(before);
    } else expect(after?.number).toBe(Number(before?.number) + 1);
    const published = readFileSync(join(config.state.directory, "hub.json"), "utf8");
    expect(published).toContain(`"${after?.assignment.assignedAt}"`);
  }

  const healed = await attempt(config, Number.POSITIVE_INFINITY, stepMs);
  expect(healed.failure).toBe(undefined);
  return codes;
}
