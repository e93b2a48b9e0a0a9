import { describe, expect, it } from "vitest";
import { blamingClock } from "../../src/agent/clock-fault.ts";
import { asMooringError, type ErrorCode, MooringError } from "../../src/errors.ts";
import { silentLog } from "../../src/system/log.ts";
import { TrustedTime } from "../../src/system/trusted-time.ts";
import { virtualClock } from "../support/virtual-clock.ts";

const year = 365 * 86_400_000;
const today = Date.UTC(2026, 5, 1);

const systemError = (code: string): Error => Object.assign(new Error(code), { code });

const failures: Record<string, MooringError> = {
  expired: new MooringError("ERR_CERTIFICATE_EXPIRED", "the certificate was valid until then"),
  early: new MooringError("ERR_CERTIFICATE_NOT_YET_VALID", "the certificate is valid from then"),
  "server expired": new MooringError("ERR_TLS_SERVER", "x", { cause: systemError("CERT_HAS_EXPIRED") }),
  "server early": new MooringError("ERR_TLS_SERVER", "x", { cause: systemError("CERT_NOT_YET_VALID") }),
  "server unknown": new MooringError("ERR_TLS_SERVER", "x", {
    cause: systemError("SELF_SIGNED_CERT_IN_CHAIN"),
  }),
  unauthorized: new MooringError("ERR_UNAUTHORIZED", "x", { status: 401 }),
  "token of another time": new MooringError("ERR_UNAUTHORIZED", "x", { clockSkewMs: -5 * year }),
  "not enrolled": new MooringError("ERR_NOT_ENROLLED", "x"),
  unreachable: new MooringError("ERR_CONNECT", "x"),
};

/** The code that a failure gets when the clock starts at `startAt` and is moved meanwhile. */
async function codeOf(failure: string, startAt: number, stepMs = 0, isKept = false): Promise<ErrorCode> {
  const clock = virtualClock(startAt);
  const time = new TrustedTime({
    clock,
    log: silentLog,
    builtAt: today - year,
    isSynchronised: () => isKept,
  });
  const attempt = blamingClock(time, async () => {
    clock.step(stepMs);
    throw failures[failure];
  });
  return attempt.then(
    () => expect.unreachable(),
    (error) => asMooringError(error).code,
  );
}

const timely = [
  "expired",
  "early",
  "server expired",
  "server early",
  "unauthorized",
  "token of another time",
];
const others = ["server unknown", "not enrolled", "unreachable"];

describe("a failure that depends on the time", () => {
  it.each(timely)("is the clock's while that is implausible: %s", async (failure) => {
    expect(await codeOf(failure, 0)).toBe("ERR_CLOCK_IMPLAUSIBLE");
  });

  it.each(timely)("is the clock's when that was moved meanwhile, either way: %s", async (failure) => {
    expect(await codeOf(failure, 0, today)).toBe("ERR_CLOCK_IMPLAUSIBLE");
    expect(await codeOf(failure, today, -50 * year)).toBe("ERR_CLOCK_IMPLAUSIBLE");
    expect(await codeOf(failure, today, 5 * year)).toBe("ERR_CLOCK_IMPLAUSIBLE");
  });

  it("is the clock's when the service's is minutes away", async () => {
    expect(await codeOf("token of another time", today)).toBe("ERR_CLOCK_IMPLAUSIBLE");
  });

  it("is the clock's when a server's certificate seems not to have begun, unless the clock is kept right", async () => {
    expect(await codeOf("server early", today)).toBe("ERR_CLOCK_IMPLAUSIBLE");
    expect(await codeOf("server early", today, 0, true)).toBe("ERR_TLS_SERVER");
  });

  it.each(["expired", "early", "server expired", "unauthorized"])(
    "is what it is while the clock is plausible: %s",
    async (failure) => {
      expect(await codeOf(failure, today)).toBe(failures[failure]?.code);
    },
  );
});

describe("a failure of another kind", () => {
  it.each(others)("is never the clock's: %s", async (failure) => {
    expect(await codeOf(failure, 0)).toBe(failures[failure]?.code);
    expect(await codeOf(failure, today, 5 * year)).toBe(failures[failure]?.code);
  });
});

describe("ERR_CLOCK_IMPLAUSIBLE", () => {
  it("says what the clock shows, keeps what the service said, and does not send people to the enrollment", async () => {
    const clock = virtualClock(0);
    const time = new TrustedTime({ clock, log: silentLog, builtAt: today, isSynchronised: () => false });
    const cause = new MooringError("ERR_UNAUTHORIZED", "no", {
      trackingId: "t-1",
      hint: "see the enrollment",
    });
    const error = await blamingClock(time, () => Promise.reject(cause)).catch(asMooringError);
    expect(error).toMatchObject({ code: "ERR_CLOCK_IMPLAUSIBLE", retry: "after", exitCode: 75, cause });
    expect(error).toMatchObject({ details: { trackingId: "t-1" } });
    expect((error as MooringError).message).toContain("1970-01-01");
    expect((error as MooringError).hint).toContain("timedatectl");
  });
});
