import { describe, expect, it } from "vitest";
import { laneOf, nextAttempt, splayMs } from "../../src/agent/pace.ts";
import { type ErrorCode, errorTable } from "../../src/errors.ts";

const codes = Object.keys(errorTable) as ErrorCode[];

/** Shortest and longest wait that chance can lead to, in seconds. */
function rangeOf(code: ErrorCode, failures: number, hasAssignment = false, retryAfterMs?: number) {
  const at = (chance: number): number => {
    const failure = retryAfterMs === undefined ? { code } : { code, retryAfterMs };
    const next = nextAttempt(failure, { failures }, { random: () => chance, hasAssignment });
    return "delayMs" in next ? next.delayMs / 1000 : Number.NaN;
  };
  return [at(0), at(1 - Number.EPSILON)];
}

describe("nextAttempt()", () => {
  it.each<[ErrorCode, number, [number, number]]>([
    ["ERR_DNS", 1, [2, 4]],
    ["ERR_DNS", 3, [2, 16]],
    ["ERR_CONNECT", 50, [2, 60]],
    ["ERR_CONNECTION_LOST", 1, [2, 4]],
    ["ERR_CONNECTION_LOST", 4, [2, 32]],
    ["ERR_DEADLINE", 50, [2, 300]],
    ["ERR_THROTTLED", 1, [2, 60]],
    ["ERR_THROTTLED", 2, [2, 120]],
    ["ERR_SERVICE_UNAVAILABLE", 50, [2, 900]],
    ["ERR_NOT_ENROLLED", 1, [60, 120]],
    ["ERR_DISABLED", 3, [240, 480]],
    ["ERR_NOT_ENROLLED", 50, [1800, 3600]],
    ["ERR_CERTIFICATE_NOT_YET_VALID", 1, [30, 60]],
  ])("after %s number %i waits for a time in %j seconds", (code, failures, range) => {
    expect(rangeOf(code, failures)).toEqual(range);
  });

  it("waits four times as long at most when there is an assignment to live on", () => {
    expect(rangeOf("ERR_DNS", 1, true)).toEqual([2, 4]);
    expect(rangeOf("ERR_DNS", 50, true)).toEqual([2, 240]);
    expect(rangeOf("ERR_NOT_ENROLLED", 50, true)).toEqual([7200, 14_400]);
  });

  it("takes Retry-After as a floor, and adds the jitter to it", () => {
    expect(rangeOf("ERR_THROTTLED", 1, false, 30_000)).toEqual([30, 88]);
    expect(rangeOf("ERR_NOT_ENROLLED", 1, false, 90_000)).toEqual([90, 150]);
    expect(rangeOf("ERR_NOT_ENROLLED", 1, false, 1_000)).toEqual([60, 120]);
  });

  it("does not let a service send it away for ever", () => {
    expect(rangeOf("ERR_THROTTLED", 50, true, 1e15)[1]).toBeLessThan(2 * 86_400);
  });

  it("says in words what it waits for", () => {
    const next = nextAttempt({ code: "ERR_DNS" }, { failures: 3 }, { random: () => 0, hasAssignment: false });
    expect(next.because).toBe("the service was not reached (ERR_DNS, 3 times now)");
  });

  it.each(codes)("knows what to do after %s, however often it comes", (code) => {
    for (const failures of [1, 2, 10, 1e9]) {
      const next = nextAttempt({ code }, { failures }, { random: () => 0.5, hasAssignment: false });
      if (errorTable[code].retry === "never") expect(next).toMatchObject({ stop: true });
      else expect(next).toMatchObject({ delayMs: expect.toSatisfy((ms) => ms >= 2_000 && ms <= 3_600_000) });
    }
  });
});

describe("splayMs()", () => {
  it("is the device's own, whenever it is asked", () => {
    expect(splayMs("gw-0001", 900_000)).toBe(splayMs("gw-0001", 900_000));
    expect(splayMs("gw-0001", 900_000)).not.toBe(splayMs("gw-0002", 900_000));
    expect(splayMs("gw-0001", 0)).toBe(0);
  });

  it.each([
    ["numbers at the end", (n: number) => `gateway-${String(n).padStart(6, "0")}`],
    ["numbers at the front", (n: number) => `${n}.plant-7.example`],
    ["long ids that differ in the middle", (n: number) => `${"a".repeat(60)}${n}${"b".repeat(60)}`],
  ])("is even over a fleet with %s", (_what, idOf) => {
    const minutes = Array.from({ length: 15 }, () => 0);
    for (let n = 0; n < 15_000; n++) {
      const at = Math.floor(splayMs(idOf(n), 900_000) / 60_000);
      minutes[at] = (minutes[at] ?? Number.NaN) + 1;
    }
    // Five standard deviations of a fair draw around 1000.
    for (const count of minutes) expect(Math.abs(count - 1000)).toBeLessThan(160);
  });
});

describe("the retry classes", () => {
  /** By lane: what every code of the table means to an agent that stays. */
  const lanes: Record<string, readonly string[]> = {
    line: ["ERR_DNS", "ERR_CONNECT", "ERR_PROXY", "ERR_LOCKED"],
    "back-off": [
      "ERR_TPM_BUSY",
      "ERR_CONNECTION_LOST",
      "ERR_DEADLINE",
      "ERR_CANCELLED",
      "ERR_CONTROL_BUSY",
      "ERR_DAEMON_LOST",
    ],
    throttled: ["ERR_THROTTLED", "ERR_SERVICE_UNAVAILABLE"],
    condition: ["ERR_CERTIFICATE_NOT_YET_VALID", "ERR_CLOCK_IMPLAUSIBLE"],
    slow: [
      // A file on a file system that is mounted late, or whose mode is being mended.
      "ERR_IDENTITY_UNREADABLE",
      "ERR_FACT_MISSING",
      // A driver that is late, or a udev rule.
      "ERR_TPM_UNAVAILABLE",
      "ERR_TPM_PERMISSION",
      "ERR_TPM_TIMEOUT",
      "ERR_TPM_LOCKOUT",
      // Mended with tpm2_evictcontrol, without a word to Mooring.
      "ERR_TPM_HANDLE_OCCUPIED",
      "ERR_TPM_KEY_REJECTED",
      "ERR_TPM_COMMAND",
      // Directories lock accounts over wrong passwords.
      "ERR_PROXY_AUTHORIZATION",
      "ERR_TLS_SERVER",
      "ERR_TLS_CLIENT",
      // Mended at the service.
      "ERR_UNAUTHORIZED",
      "ERR_NOT_ENROLLED",
      "ERR_DISABLED",
      "ERR_REQUEST_REFUSED",
      "ERR_REGISTRATION_FAILED",
      "ERR_HUB_MISSING",
      "ERR_PROTOCOL",
      "ERR_STATE_DIRECTORY",
      "ERR_STATE_FULL",
      "ERR_STATE_CORRUPT",
      "ERR_OUTPUT",
      "ERR_INTERNAL",
    ],
    // Only another configuration, identity or TPM can help, or a person who says so; or it is no matter of the agent's.
    never: [
      "ERR_USAGE",
      "ERR_INPUT",
      "ERR_CONFIG_NOT_FOUND",
      "ERR_CONFIG_INVALID",
      "ERR_PERMISSION",
      "ERR_IDENTITY_NOT_FOUND",
      "ERR_IDENTITY_INVALID",
      "ERR_CERTIFICATE_EXPIRED",
      "ERR_KEY_MISMATCH",
      "ERR_KEY_PASSWORD",
      "ERR_REGISTRATION_ID_INVALID",
      "ERR_TPM_LIBRARY",
      "ERR_TPM_CHANGED",
      "ERR_TPM_AUTHORIZATION",
      "ERR_NOT_PROVISIONED",
      "ERR_NO_PREVIOUS",
      "ERR_CONTROL_PERMISSION",
      "ERR_CONTROL_SOCKET",
      "ERR_CONTROL_PROTOCOL",
      "ERR_DAEMON_RUNNING",
      "ERR_SERVICE_START",
      "ERR_CONNECTION_STRING",
      "ERR_ENROLLMENT_NOT_FOUND",
      "ERR_ENROLLMENT_CONFLICT",
      "ERR_ENROLLMENT_REFUSED",
    ],
  };

  it.each(Object.entries(lanes))("put into the lane %s what belongs there", (lane, members) => {
    for (const code of members) expect(laneOf(code as ErrorCode) ?? "never", code).toBe(lane);
  });

  /** Of commands, never of an attempt. */
  const elsewhere = ["ERR_CONTROL_SOCKET", "ERR_CONTROL_BUSY", "ERR_DAEMON_LOST", "ERR_TOO_MANY_ATTEMPTS"];

  it("leave no code of the agent's out: a new one belongs into a lane above", () => {
    const placed = new Set([...Object.values(lanes).flat(), ...elsewhere]);
    const agents = codes.filter((code) => laneOf(code) !== undefined);
    expect(agents.filter((code) => !placed.has(code))).toEqual([]);
  });
});
