// How much a minute is let in, as Azure limits its services: off unless asked. What is over it is told when to come
// again.

import * as v from "valibot";
import type { Clock } from "../system/clock.ts";
import { jsonObject, readInput } from "./json-input.ts";
import { Throttled } from "./refusal.ts";

/** null is no quota. */
export interface Quotas {
  readonly registrationsPerMinute: number | null;
  readonly serviceCallsPerMinute: number | null;
}

const perMinute = v.nullable(
  v.pipe(
    v.number(),
    v.integer("not a whole number"),
    v.minValue(1, "less than 1"),
    v.maxValue(1_000_000, "more than 1000000"),
  ),
);

/** Throws a 400000 that names the member that is wrong. */
export const readQuotas = (body: unknown): Quotas =>
  readInput(jsonObject({ registrationsPerMinute: perMinute, serviceCallsPerMinute: perMinute }), body);

/** Counts one more in the present minute; throws Throttled when `limit` is reached. */
export type Meter = (limit: number | null) => void;

const minuteMs = 60_000;

export function createMeter(clock: Clock): Meter {
  let began = Number.NEGATIVE_INFINITY;
  let count = 0;
  return (limit) => {
    const now = clock.monotonic();
    if (now >= began + minuteMs) {
      began = now;
      count = 0;
    }
    if (limit !== null && count >= limit) throw new Throttled(Math.ceil((began + minuteMs - now) / 1000));
    count += 1;
  };
}
