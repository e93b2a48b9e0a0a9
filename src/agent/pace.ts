// Fleet manners: when an attempt that failed is repeated, and at which place in a window each device of a fleet
// begins. Pure; chance comes in as `random` (0 ≤ n < 1).

import { type ErrorCode, errorTable } from "../errors.ts";

/** Failures that cost others the same, and so are repeated at the same pace. */
export type Lane = "line" | "back-off" | "throttled" | "slow" | "condition";

interface Pace {
  /** Longest wait after the first failure; it doubles with each failure in this lane. */
  readonly firstMs: number;
  readonly longestMs: number;
  /** The part of a wait that is left to chance: 1 is full jitter. */
  readonly chance: number;
  readonly because: string;
}

const second = 1_000;
const minute = 60 * second;
const hour = 60 * minute;

const paces: Record<Lane, Pace> = {
  line: { firstMs: 4 * second, longestMs: minute, chance: 1, because: "the service was not reached" },
  "back-off": { firstMs: 4 * second, longestMs: 5 * minute, chance: 1, because: "the attempt broke off" },
  // What was refused together must not come back together: the window is wide from the start.
  throttled: { firstMs: minute, longestMs: 15 * minute, chance: 1, because: "the service is busy" },
  slow: {
    firstMs: 2 * minute,
    longestMs: hour,
    chance: 0.5,
    because: "something has to be changed before it can work",
  },
  condition: { firstMs: minute, longestMs: 15 * minute, chance: 0.5, because: "the time has to be right" },
};

/** Nobody waits less than this, whatever chance and the service say. */
const shortestMs = 2 * second;

/** A service that asks for more than this has made a mistake; the agent would be lost to it. */
const longestRetryAfterMs = 24 * hour;

/** A gateway with a working assignment is in no hurry: its longest waits are so many times as long. */
const patience = 4;

/** These end before the service notices anything, so that they cost it nothing and count in no budget. */
const line: ReadonlySet<ErrorCode> = new Set(["ERR_DNS", "ERR_CONNECT", "ERR_PROXY", "ERR_LOCKED"]);
const throttled: ReadonlySet<ErrorCode> = new Set(["ERR_THROTTLED", "ERR_SERVICE_UNAVAILABLE"]);

/** Undefined for what is not repeated at all. */
export function laneOf(code: ErrorCode): Lane | undefined {
  switch (errorTable[code].retry) {
    case "soon":
      return line.has(code) ? "line" : throttled.has(code) ? "throttled" : "back-off";
    case "later":
      return "slow";
    case "after":
      return "condition";
    case "never":
      return undefined;
  }
}

export interface Failure {
  readonly code: ErrorCode;
  readonly retryAfterMs?: number;
}

export type Next =
  | { readonly delayMs: number; readonly because: string }
  /** Until configuration or identity changes, or a person asks. */
  | { readonly stop: true; readonly because: string };

/** What a failure means for the next attempt. `failures`: in its lane since the last success, this one included. */
export function nextAttempt(
  { code, retryAfterMs = 0 }: Failure,
  { failures }: { readonly failures: number },
  { random, hasAssignment }: { readonly random: () => number; readonly hasAssignment: boolean },
): Next {
  const lane = laneOf(code);
  if (!lane) return { stop: true, because: `${code}: trying the same again cannot help` };
  const { firstMs, longestMs, chance, because } = paces[lane];
  const ceilingMs = Math.min(longestMs * (hasAssignment ? patience : 1), firstMs * 2 ** (failures - 1));
  const floorMs = Math.max(shortestMs, ceilingMs * (1 - chance));
  const delayMs =
    Math.max(floorMs, Math.min(retryAfterMs, longestRetryAfterMs)) + random() * (ceilingMs - floorMs);
  const again = failures > 1 ? `, ${failures} times now` : "";
  return { delayMs: Math.round(delayMs), because: `${because} (${code}${again})` };
}

/**
 * Attempts in store for a device, counted in the memory that survives restarts: a crash loop of anything cannot ask the
 * service more often. Full at first, and refilled slowly: at most 20 in any hour and 158 in any day.
 */
export const fullBudget = 14;
export const budgetRefillMs = 10 * minute;

/**
 * The device's own place in a window, from 0 to `windowMs`: the same after every restart, and even over a fleet.
 * `deviceKey` is what tells devices apart, such as the registration id.
 */
export function splayMs(deviceKey: string, windowMs: number): number {
  return Math.floor((hash32(deviceKey) / 2 ** 32) * windowMs);
}

/** FNV-1a over the text's UTF-16 units, and MurmurHash3's last mix, without which ids that end alike lie together. */
function hash32(text: string): number {
  let hash = 0x811c_9dc5;
  for (let index = 0; index < text.length; index++)
    hash = Math.imul(hash ^ text.charCodeAt(index), 0x0100_0193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85eb_ca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2_ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
