// What the daemon is at, for whoever asks, and when it looks again of its own accord.

import type { MooringError } from "../errors.ts";
import { needsItsHubKey } from "./hub-key.ts";
import type { Outlook } from "./outlook.ts";

export interface Doing {
  readonly activity: "starting" | "provisioning" | "waiting" | "resting" | "stopped";
  /** Absent before it has looked around, and when it could not: then `trouble` says why. */
  readonly outlook?: Outlook;
  /** What stands in the way here, whatever the service says. */
  readonly trouble?: MooringError;
  /** When it looks again of its own accord, in ms on the monotonic clock, and what for. */
  readonly next?: { readonly at: number; readonly because: string };
}

export function activityOf({ decision }: Outlook): Doing["activity"] {
  switch (decision.act) {
    case "provision":
    case "withdraw":
      return "provisioning";
    case "wait":
      return "waiting";
    case "keep":
      return "resting";
    case "stop":
      return "stopped";
  }
}

/** The time until the clock is right cannot be told. */
export const waitsForClock = ({ decision }: Outlook): boolean =>
  decision.act === "wait" && decision.forMs === undefined;

/** Nothing is to be done, and nothing is in the way. */
export const isIdleWith = (outlook: Outlook | undefined, trouble: MooringError | undefined): boolean =>
  outlook?.decision.act === "keep" && !trouble;

export interface Rest {
  readonly forMs: number;
  readonly because: string;
}

const minute = 60_000;

/** How long it may rest; undefined when nothing is due before something happens. `trouble`: what it could not do here. */
export function restAfter(outlook: Outlook | undefined, trouble: MooringError | undefined): Rest | undefined {
  const due = outlook && dueAfter(outlook, trouble);
  if (!trouble && !(outlook?.current && needsItsHubKey(outlook.current))) return due;
  // What needs no service may be tried often.
  const forMs = trouble?.retry === "soon" ? minute : 10 * minute;
  return due && due.forMs <= forMs ? due : { forMs, because: "the trouble may be over then" };
}

function dueAfter(
  { decision, facts: { timerDueInMs } }: Outlook,
  trouble: MooringError | undefined,
): Rest | undefined {
  const now = { forMs: 0, because: "there is more to do" };
  switch (decision.act) {
    case "provision":
      return now;
    case "withdraw":
      return trouble ? undefined : now;
    case "wait":
      return decision.forMs === undefined ? undefined : { forMs: decision.forMs, because: decision.because };
    case "keep":
      // What waits for a person comes before the timer.
      if (decision.pending || timerDueInMs === undefined) return undefined;
      return { forMs: timerDueInMs, because: "the time of [reprovision] every is over then" };
    case "stop":
      return undefined;
  }
}
