import { describe, expect, it } from "vitest";
import { builtAt } from "../../src/system/built-at.ts";
import { silentLog } from "../../src/system/log.ts";
import { TrustedTime, type TrustedTimeOptions } from "../../src/system/trusted-time.ts";
import { recordingLog } from "../support/recording-log.ts";
import { type VirtualClock, virtualClock } from "../support/virtual-clock.ts";

const day = 86_400_000;
const year = 365 * day;
const buildDate = Date.UTC(2026, 0, 1);
const today = buildDate + 100 * day;
const { signal } = new AbortController();

const time = (clock: VirtualClock, more: Partial<TrustedTimeOptions> = {}): TrustedTime =>
  new TrustedTime({ clock, log: silentLog, builtAt: buildDate, isSynchronised: () => false, ...more });

describe("the floor", () => {
  it("is the time of the build on a first boot", () => {
    expect(time(virtualClock(today)).floor).toBe(buildDate);
  });

  it.each([
    [
      "what an earlier run learnt",
      { remembered: today, stateWrittenAt: today + year, builtAt: buildDate },
      today,
    ],
    ["the newest state file while nothing was learnt", { stateWrittenAt: today, builtAt: buildDate }, today],
    ["the build after an upgrade", { remembered: today, builtAt: today + year }, today + year],
  ])("is %s", (_what, options, floor) => {
    expect(time(virtualClock(today), options).floor).toBe(floor);
  });

  it("rises with a moment that is past, and does not fall with it", () => {
    const trusted = time(virtualClock(today));
    trusted.learn(today - day, "since");
    expect(trusted.floor).toBe(today - day);
    trusted.learn(today - 50 * day, "since");
    expect(trusted.floor).toBe(today - day);
  });

  it("falls with the service's own date, because then it was wrong", () => {
    const trusted = time(virtualClock(today), { remembered: today + 10 * year });
    expect(trusted.state).toBe("implausible");
    trusted.learn(today, "now");
    expect(trusted.floor).toBe(today);
    expect(trusted.state).toBe("plausible");
  });

  it("falls with a moment of the service that our clock agrees with", () => {
    const trusted = time(virtualClock(today), { remembered: today + 10 * year });
    trusted.learn(today - 2000, "since");
    expect(trusted.floor).toBe(today - 2000);
  });

  it("rises with a synchronised clock, and does not fall with one that somebody set back", async () => {
    const clock = virtualClock(today);
    const trusted = time(clock, { isSynchronised: () => true });
    expect(await trusted.awaitPlausible({ waitMs: 1000, signal })).toBe("plausible");
    expect(trusted.floor).toBe(today);
    clock.step(-50 * year);
    expect(await trusted.awaitPlausible({ waitMs: 1000, signal })).toBe("plausible");
    expect(trusted.floor).toBe(today);
  });

  it("is kept when it moved, and not for every second", () => {
    const kept: number[] = [];
    const trusted = time(virtualClock(today), { remember: (floor) => kept.push(floor) });
    trusted.learn(today, "now");
    trusted.learn(today + 60_000, "now");
    trusted.learn(today + day, "now");
    expect(kept).toEqual([today, today + day]);
    expect(trusted.floor).toBe(today + day);
  });

  it("comes from the build, which is not in the future", () => {
    expect(builtAt()).toBeGreaterThan(Date.UTC(2025, 0, 1));
    expect(builtAt()).toBeLessThanOrEqual(Date.now());
  });
});

describe("a clock", () => {
  it.each([
    ["of 1970", 0, "implausible"],
    ["two days below the floor", buildDate - 2 * day, "implausible"],
    ["that runs in local time", buildDate - day / 2, "plausible"],
    ["above the floor", today, "plausible"],
    ["years ahead, which no floor can tell", today + 5 * year, "plausible"],
  ] as const)("%s is judged", (_what, now, state) => {
    expect(time(virtualClock(now)).state).toBe(state);
  });

  it("below the floor is plausible when the system says that it is synchronised", () => {
    expect(time(virtualClock(0), { isSynchronised: () => true }).state).toBe("plausible");
  });
});

describe("the time", () => {
  it("is that of the clock, until the service says another, and then goes on from there", () => {
    const clock = virtualClock(today);
    const trusted = time(clock);
    expect(trusted.now()).toBe(today);
    trusted.learn(today + 7_200_000, "now");
    clock.step(-50 * year);
    void clock.sleep(5000, { signal });
    expect(trusted.now()).toBe(today + 7_205_000);
  });

  it("stays that of the clock while the two are minutes apart, or when the service names a moment of the past", () => {
    const trusted = time(virtualClock(today));
    trusted.learn(today - 10_000, "now");
    trusted.learn(today - year, "since");
    expect(trusted.now()).toBe(today);
  });
});

describe("waiting for the clock", () => {
  it("does not happen when it is plausible", async () => {
    const clock = virtualClock(today);
    expect(await time(clock).awaitPlausible({ waitMs: 60_000, signal })).toBe("plausible");
    expect(clock.sleptMs).toEqual([]);
  });

  it("ends when the system says that it is synchronised", async () => {
    const clock = virtualClock(0);
    const isSynchronised = (): boolean => clock.sleptMs.length >= 7;
    const outcome = await time(clock, { isSynchronised }).awaitPlausible({ waitMs: 60_000, signal });
    expect(outcome).toBe("synchronised");
    expect(clock.monotonic()).toBe(7000);
  });

  it("ends when the clock moves above the floor, and not when it moves elsewhere", async () => {
    const clock = virtualClock(0);
    const trusted = time(clock, {
      isSynchronised: () => {
        if (clock.monotonic() === 5000) clock.step(20 * year);
        if (clock.monotonic() === 9000) clock.step(today - clock.now());
        return false;
      },
    });
    expect(await trusted.awaitPlausible({ waitMs: 60_000, signal })).toBe("moved");
    expect(clock.monotonic()).toBe(9000);
  });

  it("is given up after the time allowed, by the monotonic clock, and says so", async () => {
    const clock = virtualClock(0);
    const log = recordingLog();
    const isSynchronised = (): boolean => {
      clock.step(-year);
      return false;
    };
    const trusted = time(clock, { log, isSynchronised });
    expect(await trusted.awaitPlausible({ waitMs: 90_500, signal })).toBe("gave-up");
    expect(clock.monotonic()).toBe(90_500);
    expect(log.named("warn")).toEqual(["clock.implausible", "clock.still-implausible"]);
  });

  it("ends at once with the signal's reason", async () => {
    const reason = new RangeError("enough");
    const waiting = time(virtualClock(0)).awaitPlausible({ waitMs: 1000, signal: AbortSignal.abort(reason) });
    await expect(waiting).rejects.toBe(reason);
  });
});
