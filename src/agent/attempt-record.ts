// What is remembered of attempts, as attempts.json holds it. Pure; attempts.ts reads and writes it.

import * as v from "valibot";
import { type ErrorCode, errorTable } from "../errors.ts";
import type { Moment } from "../system/moment.ts";
import { type Disenrolled, meansDisenrolled } from "./decide.ts";
import { fullBudget, type Lane } from "./pace.ts";

/** How the last attempt that failed ended. */
export interface LastFailure {
  readonly code: ErrorCode;
  readonly message: string;
  readonly hint: string;
  /** ISO 8601, UTC. */
  readonly at: string;
  readonly trigger: string;
  /** What was asked for then, as `begin` was told. */
  readonly asking?: string;
  readonly serviceErrorCode?: number;
  readonly trackingId?: string;
}

/** That the service does not know this gateway, or not any more. */
export interface Refusal {
  readonly code: Disenrolled;
  readonly message: string;
  /** What was asked for then: a refusal of something else says nothing about the assignment. */
  readonly asking?: string;
  /** `assignedAt` of the assignment that there was then: of one that came later it says nothing either. */
  readonly beside?: string;
}

export interface AttemptRecord {
  readonly schemaVersion: 1;
  /** Since the last success, by lane: a line that breaks now and then does not hurry what waits for a person. */
  readonly failures: Readonly<Partial<Record<Lane, number>>>;
  readonly lastFailure?: LastFailure;
  readonly refusal?: Refusal;
  /** Before the next attempt. */
  readonly wait?: { readonly delayMs: number; readonly because: string; readonly from: Moment };
  readonly budget: { readonly left: number; readonly from: Moment };
  /** An attempt whose end is not written down: it runs, or was cut off. */
  readonly running?: { readonly trigger: string; readonly asking?: string; readonly from: Moment };
  /** A fleet-wide trigger that waits for this device's place in the window. */
  readonly splay?: { readonly trigger: string; readonly from: Moment };
  /** When the service last confirmed the assignment. ISO 8601, UTC. */
  readonly confirmedAt?: string;
  /** No time before this one can be right, ms since 1970. */
  readonly timeFloor?: number;
}

export const emptyRecord = (now: Moment): AttemptRecord => ({
  schemaVersion: 1,
  failures: {},
  budget: { left: fullBudget, from: now },
});

/**
 * While nothing changes but that the line still cannot be had, the record of an attempt that was begun may stay on disk
 * for all that follow it: it counts one attempt if the process is killed, and months without a network wear no flash.
 */
export function standsFor(kept: AttemptRecord, next: AttemptRecord): boolean {
  const isLineStillBroken = next.lastFailure !== undefined && (next.failures.line ?? 0) > 1;
  return isLineStillBroken && kept.running !== undefined && apartFromLine(kept) === apartFromLine(next);
}

function apartFromLine({
  failures,
  lastFailure,
  refusal,
  splay,
  confirmedAt,
  timeFloor,
}: AttemptRecord): string {
  const { line: _line, ...others } = failures;
  const { code, asking } = lastFailure ?? {};
  return JSON.stringify([
    Object.entries(others).sort(),
    code,
    asking,
    refusal,
    splay,
    confirmedAt,
    timeFloor,
  ]);
}

export const encodeRecord = (record: AttemptRecord): string => `${JSON.stringify(record, null, 2)}\n`;

/** Undefined when it is not a record: damaged, another program's, or of a newer version. */
export function decodeRecord(content: string): AttemptRecord | undefined {
  try {
    const result = v.safeParse(recordShape, JSON.parse(content));
    return result.success ? result.output : undefined;
  } catch {
    return undefined;
  }
}

const day = 86_400_000;
const number = (low: number, high: number) => v.pipe(v.number(), v.minValue(low), v.maxValue(high));
const text = v.pipe(v.string(), v.maxLength(10_000));
/** What `Date` can hold. */
const time = number(-8.64e15, 8.64e15);
const isoTime = v.pipe(v.string(), v.isoTimestamp());

const moment = v.object({
  at: time,
  uptimeMs: v.exactOptional(number(0, 1e6 * day)),
  bootId: v.exactOptional(text),
});
const count = v.pipe(number(0, 1e9), v.integer());

const errorCode = v.custom<ErrorCode>((code) => typeof code === "string" && Object.hasOwn(errorTable, code));

const recordShape = v.object({
  schemaVersion: v.literal(1),
  failures: v.object({
    line: v.exactOptional(count),
    "back-off": v.exactOptional(count),
    throttled: v.exactOptional(count),
    slow: v.exactOptional(count),
    condition: v.exactOptional(count),
  }),
  lastFailure: v.exactOptional(
    v.object({
      code: errorCode,
      message: text,
      hint: text,
      at: isoTime,
      trigger: text,
      asking: v.exactOptional(text),
      serviceErrorCode: v.exactOptional(v.number()),
      trackingId: v.exactOptional(text),
    }),
  ),
  refusal: v.exactOptional(
    v.object({
      code: v.pipe(errorCode, v.guard(meansDisenrolled)),
      message: text,
      asking: v.exactOptional(text),
      beside: v.exactOptional(isoTime),
    }),
  ),
  wait: v.exactOptional(v.object({ delayMs: number(0, 2 * day), because: text, from: moment })),
  budget: v.object({ left: number(0, fullBudget), from: moment }),
  running: v.exactOptional(v.object({ trigger: text, asking: v.exactOptional(text), from: moment })),
  splay: v.exactOptional(v.object({ trigger: text, from: moment })),
  confirmedAt: v.exactOptional(isoTime),
  timeFloor: v.exactOptional(time),
});
