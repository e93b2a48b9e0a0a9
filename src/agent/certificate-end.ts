// A certificate that ends soon is told of in time, again and again: nobody looks at a gateway that works.

import type { Clock } from "../system/clock.ts";
import type { Log } from "../system/log.ts";
import type { Facts } from "./decide.ts";

const dayMs = 86_400_000;
/** For certificates that are valid for long; in the last quarter of those that are not. */
const longestNoticeMs = 30 * dayMs;

/** Whole days; below zero when it is over. `to` and `now`: ms since 1970. */
export const daysUntil = (to: number, now: number): number => Math.floor((to - now) / dayMs);

/** Called at each look; tells once in a day of this process (the packaged agent is started once a day, at least), and not by a clock that cannot be right. */
export function createCertificateAlarm({ clock, log }: { clock: Clock; log: Log }): (facts: Facts) => void {
  let toldAt: number | undefined;
  return ({ wanted: { validity }, isClockPlausible }) => {
    if (!validity || !isClockPlausible) return;
    const { from, to } = validity;
    if (to - clock.now() > Math.min(longestNoticeMs, (to - from) / 4)) return;
    if (toldAt !== undefined && clock.monotonic() - toldAt < dayMs) return;
    toldAt = clock.monotonic();
    const daysLeft = daysUntil(to, clock.now());
    log.warn("certificate.ends", {
      validUntil: new Date(to).toISOString(),
      daysLeft,
      hint: "put a renewed certificate in its place: the agent notices, and registers with it",
    });
  };
}
