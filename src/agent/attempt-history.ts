// What is remembered of attempts, and when the next may begin. An attempt is written down before it begins, as if it had
// broken off: whatever kills it, the next start waits and counts it.

import { isDeepStrictEqual } from "node:util";
import { MooringError } from "../errors.ts";
import type { Clock } from "../system/clock.ts";
import {
  type BootClock,
  elapsedMs,
  isUndatable,
  type Moment,
  momentNow,
  systemBoot,
} from "../system/moment.ts";
import { type AttemptRecord, emptyRecord, type LastFailure, type Refusal } from "./attempt-record.ts";
import { meansDisenrolled } from "./decide.ts";
import { budgetRefillMs, fullBudget, type Lane, laneOf, type Next, nextAttempt, splayMs } from "./pace.ts";

/** A wait that manners ask for. */
export interface Pause {
  readonly forMs: number;
  readonly because: string;
}

export interface Attempts {
  /** In a row, of all kinds. */
  readonly failures: number;
  readonly lastFailure: LastFailure | undefined;
  /** The service's last word on the enrollment, when that was a refusal; failures that say nothing of it leave it. */
  readonly refusal: Refusal | undefined;
  /** When the service last confirmed the assignment. ISO 8601, UTC. */
  readonly confirmedAt: string | undefined;
  /** No time before this one can be right, ms since 1970. */
  readonly timeFloor: number | undefined;
  setTimeFloor(ms: number): void;
  /** What is left of the wait after a failure, or until the budget allows an attempt. Undefined: it may begin now. */
  pause(): Pause | undefined;
  /** Of these, the budget alone: it holds back a person's loop of attempts, too. */
  budgetPause(): Pause | undefined;
  /**
   * What is left of this device's place in the window in which a fleet acts on `trigger`. The window begins when a
   * trigger of this name is first seen, and goes on across restarts. Undefined: it is this device's turn.
   */
  splay(trigger: string, deviceKey: string, windowMs: number): Pause | undefined;
  /** To be called before each attempt. `asking`: a fingerprint of what is asked for; see LastFailure. */
  begin(trigger: string, about?: { readonly asking?: string }): void;
  /**
   * Ends what began, beside the assignment of `assignedAt`; says when the next may be. A stop by the user is no failure,
   * but an attempt.
   */
  failed(error: MooringError, about: { readonly assignedAt?: string | undefined }): Next;
  /** Ends what began: the service has confirmed an assignment, `at` a time (ISO 8601) or now. */
  succeeded(at?: string): void;
  /**
   * Configuration or identity changed, or a person asks: earlier failures hold nothing up. The budget stays, and so
   * does the wait that a busy service asked for, unless `isBusyForgiven`.
   */
  forgive(how: { readonly isBusyForgiven: boolean }): void;
}

/** Where the record is kept; neither throws. */
export interface Shelf {
  /** Undefined when there is none, or none that can be read. */
  read(): AttemptRecord | undefined;
  write(record: AttemptRecord): void;
}

export interface HistoryTools {
  readonly clock: Pick<Clock, "now">;
  readonly random?: () => number;
  readonly boot?: BootClock;
}

/** The attempts that a shelf remembers. */
export function attemptsOn(
  shelf: Shelf,
  { clock, random = Math.random, boot = systemBoot() }: HistoryTools,
): Attempts {
  const now = (): Moment => momentNow(clock, boot);
  let record = shelf.read() ?? emptyRecord(now());

  /** Another process may have written meanwhile: what it wrote is what changes. The same again wears the flash. */
  function update(change: (record: AttemptRecord) => AttemptRecord): void {
    const before = shelf.read() ?? record;
    record = change(before);
    if (!isDeepStrictEqual(record, before)) shelf.write(record);
  }

  const waiting = ({ wait }: AttemptRecord): Pause | undefined => {
    if (!wait) return undefined;
    const { delayMs, because, from } = wait;
    const mostMs = isUndatable(from, now()) ? longestUndatedMs : delayMs;
    return pauseOf(Math.min(delayMs, mostMs) - elapsedMs(from, now()), because);
  };

  return {
    get failures() {
      return sum(settled(record).failures);
    },
    get lastFailure() {
      return record.lastFailure;
    },
    get refusal() {
      return record.refusal;
    },
    get confirmedAt() {
      return record.confirmedAt;
    },
    get timeFloor() {
      return record.timeFloor;
    },
    setTimeFloor: (timeFloor) => update((old) => ({ ...old, timeFloor })),
    pause: () => longer(waiting(record), budgetPause(record, now())),
    budgetPause: () => budgetPause(record, now()),
    splay: (trigger, deviceKey, windowMs) => {
      const shareMs = splayMs(deviceKey, windowMs);
      if (shareMs === 0) return undefined;
      if (record.splay?.trigger !== trigger || isForgotten(record, windowMs, now()))
        update((old) => ({ ...old, splay: { trigger, from: now() } }));
      const sinceMs = record.splay ? elapsedMs(record.splay.from, now()) : 0;
      return pauseOf(shareMs - sinceMs, "the fleet's requests are spread over a window");
    },
    begin: (trigger, about) =>
      update((old) => {
        const before = settled(old);
        const from = now();
        // As if it broke off, until its end is known.
        const next = nextAttempt(
          { code: "ERR_CANCELLED" },
          { failures: (before.failures["back-off"] ?? 0) + 1 },
          { random, hasAssignment: false },
        );
        return {
          ...before,
          running: { trigger, ...about, from },
          budget: { left: Math.max(0, budgetLeft(before, from) - 1), from },
          ...("delayMs" in next && { wait: { ...next, because: "the attempt before was cut off", from } }),
        };
      }),
    failed: (error, { assignedAt }) => {
      const { code, details } = error;
      const lane = laneOf(code);
      let next: Next | undefined;
      update((old) => {
        const { running, wait: _wait, ...rest } = old;
        const isStop = code === "ERR_CANCELLED";
        const failures =
          lane && !isStop ? { ...rest.failures, [lane]: (rest.failures[lane] ?? 0) + 1 } : rest.failures;
        const from = now();
        next = nextAttempt(
          details.retryAfterMs === undefined ? { code } : { code, retryAfterMs: details.retryAfterMs },
          { failures: (lane && failures[lane]) || 1 },
          { random, hasAssignment: assignedAt !== undefined },
        );
        const left = budgetLeft(rest, from);
        return {
          ...rest,
          failures,
          budget: { left: running && isFree(lane) ? Math.min(fullBudget, left + 1) : left, from },
          ...(!isStop && { lastFailure: lastFailure(error, running, from) }),
          ...(meansDisenrolled(code) && {
            refusal: {
              ...{ code, message: cut(error.message), ...askingOf(running) },
              ...(assignedAt !== undefined && { beside: assignedAt }),
            },
          }),
          ...("delayMs" in next && { wait: { ...next, from } }),
        };
      });
      return next as Next;
    },
    succeeded: (at = new Date(clock.now()).toISOString()) =>
      update(({ schemaVersion, budget, timeFloor }) => ({
        schemaVersion,
        failures: {},
        budget,
        confirmedAt: at,
        ...(timeFloor !== undefined && { timeFloor }),
      })),
    forgive: ({ isBusyForgiven }) =>
      update((old) => {
        const { wait, running: _running, failures, ...rest } = old;
        const { throttled = 0 } = failures;
        const isBusy = rest.lastFailure !== undefined && laneOf(rest.lastFailure.code) === "throttled";
        if (isBusyForgiven || !wait || !isBusy) return { ...rest, failures: {} };
        return { ...rest, failures: { throttled }, wait };
      }),
  };
}

/** Whoever could not even ask, or did with a wrong clock, has cost the service next to nothing. */
const isFree = (lane: Lane | undefined): boolean => lane === "line" || lane === "condition";

/** A board without a battery that is switched off often would otherwise begin the same wait again and again. */
const longestUndatedMs = 5 * 60_000;

/** A window that nobody acted on belongs to a change that was taken back; the next one begins a new window. */
function isForgotten({ splay, failures, running }: AttemptRecord, windowMs: number, now: Moment): boolean {
  return splay !== undefined && sum(failures) === 0 && !running && elapsedMs(splay.from, now) > 2 * windowMs;
}

/** An attempt that was cut off counts as one that broke off. */
function settled({ running, ...record }: AttemptRecord): AttemptRecord {
  if (!running) return record;
  const { failures } = record;
  return { ...record, failures: { ...failures, "back-off": (failures["back-off"] ?? 0) + 1 } };
}

function lastFailure(
  { code, message, hint, details }: MooringError,
  running: AttemptRecord["running"],
  at: Moment,
): LastFailure {
  const { serviceErrorCode, trackingId } = details;
  return {
    code,
    message: cut(message),
    hint: cut(hint),
    at: new Date(at.at).toISOString(),
    trigger: running?.trigger ?? "unknown",
    ...askingOf(running),
    ...(serviceErrorCode !== undefined && { serviceErrorCode }),
    ...(trackingId !== undefined && { trackingId: cut(trackingId) }),
  };
}

const askingOf = (running: AttemptRecord["running"]): { asking?: string } =>
  running?.asking === undefined ? {} : { asking: running.asking };

/** A server may have put much into a message. */
const cut = (text: string): string => text.slice(0, 2_000);

/** What whoever may not ask the service now is told. */
export const tooManyAttempts = ({ forMs, because }: Pause): MooringError =>
  new MooringError(
    "ERR_TOO_MANY_ATTEMPTS",
    `the service is not asked again for ${Math.ceil(forMs / 1000)} s: ${because}`,
    {
      retryAfterMs: forMs,
    },
  );

function budgetLeft({ budget }: AttemptRecord, now: Moment): number {
  return Math.min(fullBudget, budget.left + elapsedMs(budget.from, now) / budgetRefillMs);
}

function budgetPause(record: AttemptRecord, now: Moment): Pause | undefined {
  return pauseOf(
    (1 - budgetLeft(record, now)) * budgetRefillMs,
    "the budget of attempts is used up, and refills slowly",
  );
}

/** What is left of a sum of fractions after it was waited for is nothing. */
const roundingMs = 0.01;

const pauseOf = (forMs: number, because: string): Pause | undefined =>
  forMs > roundingMs ? { forMs: Math.ceil(forMs), because } : undefined;

const longer = (a: Pause | undefined, b: Pause | undefined): Pause | undefined =>
  !a || (b && b.forMs > a.forMs) ? b : a;

const sum = (counts: AttemptRecord["failures"]): number =>
  Object.values(counts).reduce((total, count) => total + count, 0);
