// Steps of the wall clock, seen against the monotonic one: somebody or NTP set it, or the machine slept.

import type { Clock } from "./clock.ts";

const smallestStepMs = 30_000;

/** Adrift by less than this for so long, nobody's plans depend on it. */
const lookEveryMs = 60_000;

/** Constant while nobody sets the wall clock. */
export const wallOffset = (clock: Clock): number => clock.now() - clock.monotonic();

/** Tells `onStep` of each step of more than 30 s, at most a minute later, until the signal aborts. */
export async function watchClockSteps(
  onStep: (stepMs: number) => void,
  { clock, signal }: { clock: Clock; signal: AbortSignal },
): Promise<void> {
  for (let offset = wallOffset(clock); !signal.aborted; ) {
    await clock.sleep(lookEveryMs, { signal }).catch(() => {});
    const stepMs = wallOffset(clock) - offset;
    if (signal.aborted || Math.abs(stepMs) <= smallestStepMs) continue;
    offset += stepMs;
    onStep(stepMs);
  }
}
