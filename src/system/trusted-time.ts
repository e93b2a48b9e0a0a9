// Boards without a battery wake up in 1970. What is known for sure is a lower bound of time, the floor; a wall clock
// below it is implausible. That is a state to wait in, bounded, for the time synchronisation. The clock itself is never
// set from here.

import { statSync } from "node:fs";
import { builtAt } from "./built-at.ts";
import type { Clock } from "./clock.ts";
import { wallOffset } from "./clock-steps.ts";
import type { Log } from "./log.ts";

export type ClockState = "plausible" | "implausible";

/** How a wait ended. After `gave-up` an attempt is worth it all the same: the floor may be what is wrong. */
export type ClockWait = "plausible" | "synchronised" | "moved" | "gave-up";

export interface TrustedTimeOptions {
  readonly clock: Clock;
  readonly log: Log;
  /** The floor that earlier runs kept, milliseconds since 1970. */
  readonly remembered?: number | undefined;
  /** Of the newest state file; counts only while no floor is remembered, because the clock may have been wrong then. */
  readonly stateWrittenAt?: number | undefined;
  /** Keeps the floor for later runs. */
  readonly remember?: (floor: number) => void;
  readonly builtAt?: number;
  /** Whether a clock that says `now` is kept right by the system. */
  readonly isSynchronised?: (now: number) => boolean;
}

/** Clocks of build machines differ by minutes, and some hardware clocks run in local time; this is about years. */
const slackMs = 86_400_000;

/** A clock this far from the service's is wrong: what the service's own libraries tolerate. */
const toleratedSkewMs = 300_000;

/** For the sake of the flash, a floor that moved less is not kept anew. */
const worthKeepingMs = 3_600_000;

/** How often one who waits looks up: a `stat` and a clock reading. */
const lookEveryMs = 1_000;

/** What one agent knows of the time, and learns. */
export class TrustedTime {
  readonly #options: TrustedTimeOptions;
  #floor: number;
  #kept: number | undefined;
  /** The service's clock against the monotonic one, once it is known. */
  #serviceOffset: number | undefined;

  constructor(options: TrustedTimeOptions) {
    const { remembered, stateWrittenAt = 0 } = options;
    this.#options = options;
    this.#kept = remembered;
    this.#floor = Math.max(options.builtAt ?? builtAt(), remembered ?? stateWrittenAt);
  }

  /** Milliseconds since 1970. */
  get floor(): number {
    return this.#floor;
  }

  /** The best that is known: the service's time where it was heard and ours is far from it, else ours. */
  now(): number {
    const { clock } = this.#options;
    const ours = clock.now();
    const theirs = this.#serviceOffset === undefined ? ours : this.#serviceOffset + clock.monotonic();
    return Math.abs(theirs - ours) > toleratedSkewMs ? theirs : ours;
  }

  get state(): ClockState {
    return this.#isAboveFloor() || this.isSynchronised() ? "plausible" : "implausible";
  }

  /** The system keeps the clock right, as it says. */
  isSynchronised(): boolean {
    const { clock, isSynchronised = systemIsSynchronised } = this.#options;
    return isSynchronised(clock.now());
  }

  /**
   * Before every attempt: waits until the clock is plausible, `waitMs` at most. Rejects with the signal's reason.
   */
  async awaitPlausible(limits: { waitMs: number; signal: AbortSignal }): Promise<ClockWait> {
    const { clock, log } = this.#options;
    if (this.isSynchronised() && clock.now() > this.#floor) this.#setFloor(clock.now());
    if (this.state === "plausible") return "plausible";
    if (limits.waitMs > 0)
      log.warn("clock.implausible", { because: this.#disbelief(), retryInMs: limits.waitMs });
    const outcome = await this.#wait(limits);
    if (outcome === "gave-up") log.warn("clock.still-implausible", { because: this.#disbelief() });
    else log.info("clock.plausible", { because: outcome });
    return outcome;
  }

  /**
   * Learns from what the verified service says: that it is `now` this time, which counts even below the floor, because
   * then that was wrong; or that a time is past (`since`), which can only raise it. A moment that is not long past by
   * our clock confirms that; of any other nobody knows how long ago it was.
   */
  learn(at: number, kind: "now" | "since"): void {
    const { clock } = this.#options;
    if (kind === "now") this.#serviceOffset = at - clock.monotonic();
    const isNow = kind === "now" || Math.abs(at - clock.now()) <= toleratedSkewMs;
    if (isNow || at > this.#floor) this.#setFloor(at);
  }

  /** Begins to watch the clock. The answer says, in words, why it could not be believed at some time since. */
  watch(): () => string | undefined {
    const { clock } = this.#options;
    const offset = wallOffset(clock);
    const before = this.state === "implausible" ? this.#disbelief() : undefined;
    return () => {
      if (before !== undefined) return before;
      if (this.state === "implausible") return this.#disbelief();
      const stepMs = wallOffset(clock) - offset;
      if (Math.abs(stepMs) <= toleratedSkewMs) return undefined;
      const direction = stepMs > 0 ? "forward" : "back";
      return `this machine's clock was set ${direction} meanwhile, to ${iso(clock.now())}`;
    };
  }

  #setFloor(at: number): void {
    this.#floor = at;
    if (this.#kept !== undefined && Math.abs(at - this.#kept) < worthKeepingMs) return;
    this.#kept = at;
    this.#options.remember?.(at);
  }

  async #wait({ waitMs, signal }: { waitMs: number; signal: AbortSignal }): Promise<ClockWait> {
    const { clock } = this.#options;
    const endsAt = clock.monotonic() + waitMs;
    for (;;) {
      if (this.isSynchronised()) return "synchronised";
      if (this.#isAboveFloor()) return "moved";
      const leftMs = endsAt - clock.monotonic();
      if (leftMs <= 0) return "gave-up";
      await clock.sleep(Math.min(leftMs, lookEveryMs), { signal });
    }
  }

  #isAboveFloor(): boolean {
    return this.#options.clock.now() >= this.#floor - slackMs;
  }

  #disbelief(): string {
    return `this machine's clock says ${iso(this.#options.clock.now())}, and it is at least ${iso(this.#floor)}`;
  }
}

/**
 * systemd-timesyncd touches this at each synchronisation, at least every 34 minutes. A mark of another time is from
 * before somebody set the clock. Other daemons leave none; with them the clock is seen to move.
 */
const synchronisationMark = "/run/systemd/timesync/synchronized";

function systemIsSynchronised(now: number): boolean {
  const mark = statSync(synchronisationMark, { throwIfNoEntry: false });
  return mark !== undefined && Math.abs(now - mark.mtimeMs) <= slackMs;
}

const iso = (at: number): string => new Date(at).toISOString();
