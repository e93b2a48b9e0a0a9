// When something happened, written so that a later start can tell how long ago that was, whatever became of the wall
// clock: within one boot the machine's own running time counts, across boots the wall clock as far as it can be right.

import { readFileSync } from "node:fs";
import { uptime } from "node:os";
import type { Clock } from "./clock.ts";

export interface Moment {
  /** Wall clock, ms since 1970. */
  readonly at: number;
  /** Time since the boot `bootId`, suspended time included; absent where the system does not name its boots. */
  readonly uptimeMs?: number;
  readonly bootId?: string;
}

/** What tells the time since boot; tests bring their own. */
export interface BootClock {
  readonly bootId: string | undefined;
  uptimeMs(): number;
}

/** Linux names each boot and counts suspended time (proc(5), CLOCK_BOOTTIME). */
export const systemBoot = (): BootClock => ({ bootId: readBootId(), uptimeMs: () => uptime() * 1000 });

export const momentNow = (clock: Pick<Clock, "now">, { bootId, uptimeMs }: BootClock): Moment => ({
  at: clock.now(),
  ...(bootId !== undefined && { bootId, uptimeMs: Math.round(uptimeMs()) }),
});

/**
 * Milliseconds from `since` to `now`, never negative. What happened before this boot is at least as old as the boot;
 * where the wall clock was wrong then or is now, as on boards without a battery, more cannot be told.
 */
export function elapsedMs(since: Moment, now: Moment): number {
  const byWallClock = isUndatable(since, now) ? 0 : Math.max(0, now.at - since.at);
  if (now.uptimeMs === undefined || since.uptimeMs === undefined) return byWallClock;
  return since.bootId === now.bootId
    ? Math.max(0, now.uptimeMs - since.uptimeMs)
    : Math.max(byWallClock, now.uptimeMs);
}

/** After a reboot, and with a wall clock that was wrong then or is now: how long ago `since` was cannot be told. */
export const isUndatable = (since: Moment, now: Moment): boolean =>
  since.bootId !== now.bootId && (now.at < since.at || since.at < beforeMooring);

/** A clock that showed less was never right while this program ran. */
const beforeMooring = Date.UTC(2025, 0, 1);

function readBootId(): string | undefined {
  try {
    return readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim() || undefined;
  } catch {
    return undefined;
  }
}
