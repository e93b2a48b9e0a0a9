// Scenarios: what the service does wrong on purpose, so that whoever builds devices sees what they make of it. Here
// is what each kind means for one request; nothing here knows sockets, stores or clocks.

import * as v from "valibot";
import type { DeviceRequest } from "./device-api.ts";
import { readInput } from "./json-input.ts";

const whole = (least: number, most: number) =>
  v.pipe(
    v.number(),
    v.integer("not a whole number"),
    v.minValue(least, `less than ${least}`),
    v.maxValue(most, `more than ${most}`),
  );

const tenYears = 10 * 366 * 86_400;
/** After so many uses a scenario ends by itself. */
const times = v.optional(whole(1, 1_000_000));

/** A member that is misspelt must not go unnoticed: strict. */
const schema = v.variant("kind", [
  v.strictObject({
    kind: v.literal("throttle"),
    retryAfterSeconds: v.optional(whole(0, 86_400), 10),
    times,
  }),
  v.strictObject({ kind: v.literal("assigning"), polls: v.optional(whole(1, 10_000), 3), times }),
  v.strictObject({ kind: v.literal("assigning-forever"), times }),
  v.strictObject({ kind: v.literal("duplicate"), times }),
  v.strictObject({ kind: v.literal("late"), delayMs: v.optional(whole(1, 600_000), 10_000), times }),
  v.strictObject({ kind: v.literal("cut-after-202"), times }),
  v.strictObject({ kind: v.literal("wrong-key"), times }),
  v.strictObject({ kind: v.literal("malformed-json"), times }),
  v.strictObject({
    kind: v.literal("clock-skew"),
    skewSeconds: v.optional(whole(-tenYears, tenYears), 86_400),
    times,
  }),
  v.strictObject({ kind: v.literal("disconnect"), times }),
]);

export type Scenario = v.InferOutput<typeof schema>;

/** With every number it needs. Throws a 400000 that names the first member that is wrong. */
export const readScenario = (body: unknown): Scenario => readInput(schema, body);

/** How an answer is to travel, when not just so. */
export interface Delivery {
  readonly delayMs?: number;
  /** Added to the Date header; MQTT has no such thing. */
  readonly dateSkewMs?: number;
  /** The text breaks off in the middle. */
  readonly malformed?: true;
  /** MQTT: the same answer once more. */
  readonly twice?: true;
  /** The connection ends in place of the answer, or right after it. */
  readonly close?: "instead" | "after";
}

/** What a scenario wants with one request; absent members are as ever. */
export interface Plan {
  /** Not judged at all: the answer is this refusal, or none. */
  readonly refuse?: { readonly throttledForSeconds: number } | "credential" | "silently";
  /** The clock that judges the request is off by so much. */
  readonly clockSkewMs?: number;
  /** A TPM's challenge is sealed so that no TPM opens it. */
  readonly spoilChallenge?: true;
  /** For so many polls the operation stays `assigning`; the first answer is 202 in any case. */
  readonly holdForPolls?: number;
  /** The operation of the registration before is named again. */
  readonly repeatOperation?: true;
  readonly delivery?: Delivery;
}

export interface PlannedRequest extends Pick<DeviceRequest, "transport" | "operation"> {
  readonly attestation: "tpm" | "other";
  readonly hasToken: boolean;
}

/** Undefined when the scenario lets the request pass. */
export function plan(scenario: Scenario, request: PlannedRequest): Plan | undefined {
  const registers = request.operation === "register";
  const overHttps = request.transport === "https";
  switch (scenario.kind) {
    case "throttle":
      return { refuse: { throttledForSeconds: scenario.retryAfterSeconds } };
    case "assigning":
      return registers ? { holdForPolls: scenario.polls } : undefined;
    case "assigning-forever":
      return registers ? { holdForPolls: Number.POSITIVE_INFINITY } : undefined;
    case "duplicate":
      if (!overHttps) return { delivery: { twice: true } };
      return registers ? { repeatOperation: true } : undefined;
    case "late":
      return { delivery: { delayMs: scenario.delayMs } };
    case "cut-after-202":
      return registers ? { holdForPolls: 0, delivery: { close: "after" } } : undefined;
    case "wrong-key":
      if (request.attestation !== "tpm") return { refuse: "credential" };
      return request.hasToken ? undefined : { spoilChallenge: true };
    case "malformed-json":
      return { delivery: { malformed: true } };
    case "clock-skew": {
      const skewMs = scenario.skewSeconds * 1000;
      return { clockSkewMs: skewMs, ...(overHttps && { delivery: { dateSkewMs: skewMs } }) };
    }
    case "disconnect":
      // Over MQTT it has happened at CONNECT.
      return overHttps && registers ? { refuse: "silently" } : undefined;
  }
}
