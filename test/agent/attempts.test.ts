import {
  chmodSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { type AttemptTools, openAttempts } from "../../src/agent/attempts.ts";
import { MooringError } from "../../src/errors.ts";
import { aMachine } from "../support/boot-clock.ts";
import { recordingLog } from "../support/recording-log.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

const minute = 60_000;
const hour = 60 * minute;

const notEnrolled = new MooringError("ERR_NOT_ENROLLED", "no enrollment", {
  serviceErrorCode: 404_201,
  trackingId: "a-b-c",
});
const noConnection = new MooringError("ERR_CONNECT", "refused");
const withoutAssignment = {};

/** A state directory on a machine; `open` is a start of the agent. */
function aGateway(change: Partial<AttemptTools> = {}) {
  const directory = temporaryDirectory();
  const machine = aMachine();
  const log = recordingLog();
  const open = (more: Partial<AttemptTools> = {}) =>
    openAttempts(directory, { ...machine, log, random: () => 0.5, ...change, ...more });
  return { directory, machine, log, open, path: join(directory, "attempts.json") };
}

describe("attempts", () => {
  it("may begin when nothing is known", () => {
    const attempts = aGateway().open();
    expect(attempts.pause()).toBeUndefined();
    expect(attempts).toMatchObject({ failures: 0, lastFailure: undefined, confirmedAt: undefined });
  });

  it("write nothing for those who only look", () => {
    const { directory, open } = aGateway();
    open().pause();
    const reader = open({ isReadOnly: true });
    reader.splay("config-changed", "gw", hour);
    reader.begin("timer");
    expect(readdirSync(directory)).toEqual([]);
  });

  it("write nothing where there is nothing to forgive", () => {
    const { open, path } = aGateway();
    const attempts = open();
    attempts.begin("first-boot");
    attempts.succeeded();
    // What is written anew is another file.
    linkSync(path, `${path}.before`);
    attempts.forgive({ isBusyForgiven: true });
    attempts.forgive({ isBusyForgiven: false });
    expect(statSync(path).ino).toBe(statSync(`${path}.before`).ino);
  });

  it("remember a failure across restarts: what it was, and what is left of the wait", () => {
    const { machine, open, path } = aGateway();
    const first = open();
    first.begin("first-boot", { asking: "abc" });
    expect(first.failed(notEnrolled, withoutAssignment)).toMatchObject({ delayMs: 90_000 });
    machine.pass(30_000);
    const second = open();
    expect(second.pause()).toMatchObject({ forMs: 60_000, because: expect.stringContaining("NOT_ENROLLED") });
    expect(second.failures).toBe(1);
    expect(second.lastFailure).toEqual({
      code: "ERR_NOT_ENROLLED",
      message: "no enrollment",
      hint: notEnrolled.hint,
      at: "2026-01-01T00:00:00.000Z",
      trigger: "first-boot",
      asking: "abc",
      serviceErrorCode: 404_201,
      trackingId: "a-b-c",
    });
    expect(statSync(path).mode & 0o777).toBe(0o600);
    machine.pass(minute);
    expect(open().pause()).toBeUndefined();
  });

  it("forget failures when the service confirms the assignment", () => {
    const { machine, open } = aGateway();
    const attempts = open();
    attempts.begin("first-boot");
    attempts.failed(notEnrolled, withoutAssignment);
    machine.pass(hour);
    attempts.begin("first-boot");
    attempts.succeeded();
    expect(open()).toMatchObject({
      failures: 0,
      lastFailure: undefined,
      confirmedAt: "2026-01-01T01:00:00.000Z",
    });
    expect(open().pause()).toBeUndefined();
  });

  it("count an attempt that was cut off, and wait after it, longer each time", () => {
    const { machine, open } = aGateway();
    const waits = [1, 2, 3].map(() => {
      open().begin("first-boot");
      const { forMs } = open().pause() ?? expect.fail("no pause");
      machine.pass(forMs);
      return forMs;
    });
    expect(waits).toEqual([3_000, 5_000, 9_000]);
    expect(open().failures).toBe(3);
  });

  it("keep the lanes apart: a broken line does not hurry what waits for a person", () => {
    const attempts = aGateway().open();
    const delays = [notEnrolled, notEnrolled, noConnection, notEnrolled].map((error) => {
      attempts.begin("first-boot");
      const next = attempts.failed(error, withoutAssignment);
      return "delayMs" in next ? next.delayMs : undefined;
    });
    expect(delays).toEqual([90_000, 180_000, 3_000, 360_000]);
  });

  it("stop for good after what cannot get better", () => {
    const { open } = aGateway();
    const attempts = open();
    attempts.begin("first-boot");
    const next = attempts.failed(new MooringError("ERR_TPM_AUTHORIZATION", "wrong"), withoutAssignment);
    expect(next).toMatchObject({ stop: true });
    expect(open().lastFailure).toMatchObject({ code: "ERR_TPM_AUTHORIZATION" });
  });

  it("take a stop by the user for no failure, and keep what failed before", () => {
    const { open } = aGateway();
    const attempts = open();
    attempts.begin("first-boot");
    attempts.failed(notEnrolled, withoutAssignment);
    attempts.begin("first-boot");
    attempts.failed(new MooringError("ERR_CANCELLED", "stopped"), withoutAssignment);
    expect(open()).toMatchObject({ failures: 1, lastFailure: { code: "ERR_NOT_ENROLLED" } });
    expect(open().pause()).toMatchObject({ forMs: 3_000 });
  });

  it("end the wait when somebody asks, and keep counting what it costs", () => {
    const { open } = aGateway();
    const attempts = open();
    for (let count = 0; count < 14; count++) {
      expect(attempts.pause(), `attempt ${count + 1}`).toBeUndefined();
      attempts.begin("operator");
      attempts.failed(notEnrolled, withoutAssignment);
      attempts.forgive({ isBusyForgiven: true });
    }
    expect(open().pause()).toMatchObject({ because: expect.stringContaining("budget") });
  });

  it("leave a busy service the wait that it asked for, whatever changed here", () => {
    const { open } = aGateway();
    const attempts = open();
    attempts.begin("first-boot");
    attempts.failed(new MooringError("ERR_THROTTLED", "busy", { retryAfterMs: hour }), withoutAssignment);
    attempts.forgive({ isBusyForgiven: false });
    expect(open().pause()?.forMs).toBeGreaterThanOrEqual(hour);
    attempts.forgive({ isBusyForgiven: true });
    expect(open().pause()).toBeUndefined();
  });

  it("remember a refusal of the service through failures that say nothing of it, until a success", () => {
    const { open } = aGateway();
    const attempts = open();
    attempts.begin("timer", { asking: "abc" });
    attempts.failed(notEnrolled, withoutAssignment);
    attempts.begin("disenrolled", { asking: "abc" });
    attempts.failed(noConnection, withoutAssignment);
    expect(open()).toMatchObject({
      lastFailure: { code: "ERR_CONNECT" },
      refusal: { code: "ERR_NOT_ENROLLED", message: "no enrollment", asking: "abc" },
    });
    attempts.succeeded();
    expect(open().refusal).toBeUndefined();
  });

  it("remember beside which assignment the service refused", () => {
    const { open } = aGateway();
    const attempts = open();
    attempts.begin("timer");
    attempts.failed(notEnrolled, { assignedAt: "2026-01-02T03:04:05.000Z" });
    expect(open().refusal).toMatchObject({ beside: "2026-01-02T03:04:05.000Z" });
  });
});

describe("the budget", () => {
  /** Attempts that begin in `hours`, in an agent that does `act` whenever it may, and dies at once. */
  function attemptsIn(hours: number, reboot: (machine: ReturnType<typeof aMachine>) => void): number[] {
    const { machine, open } = aGateway({ random: () => 0 });
    const startedAt: number[] = [];
    let elapsed = 0;
    while (elapsed < hours * hour) {
      const forMs = open().pause()?.forMs ?? 0;
      machine.pass(forMs);
      elapsed += forMs;
      open().begin("first-boot");
      startedAt.push(elapsed);
      reboot(machine);
    }
    return startedAt;
  }

  const mostInAnyHour = (startedAt: readonly number[]): number =>
    Math.max(...startedAt.map((from) => startedAt.filter((at) => at >= from && at < from + hour).length));

  it.each<[string, (machine: ReturnType<typeof aMachine>) => void]>([
    ["killed", () => {}],
    ["power-cycled", (machine) => machine.reboot()],
    ["power-cycled, and starts in 1970 each time", (machine) => machine.reboot(0)],
  ])("holds an agent that is %s at every attempt", (_what, reboot) => {
    const startedAt = attemptsIn(24, reboot);
    expect(startedAt.length).toBeGreaterThan(20);
    expect(startedAt.length).toBeLessThanOrEqual(158);
    expect(mostInAnyHour(startedAt)).toBeLessThanOrEqual(20);
  });

  it.each([
    ["a line that cannot be had", noConnection, minute],
    ["a clock that is wrong", new MooringError("ERR_CLOCK_IMPLAUSIBLE", "1970"), 15 * minute],
  ])("is not spent on %s", (_what, failure, longestMs) => {
    const { machine, open } = aGateway();
    const attempts = open();
    for (let count = 0; count < 100; count++) {
      machine.pass(attempts.pause()?.forMs ?? 0);
      attempts.begin("first-boot");
      attempts.failed(failure, withoutAssignment);
      expect(attempts.pause()?.forMs).toBeLessThanOrEqual(longestMs);
    }
  });
});

describe("a wait", () => {
  function failedOnce() {
    const gateway = aGateway();
    const attempts = gateway.open();
    attempts.begin("first-boot");
    attempts.failed(notEnrolled, withoutAssignment); // 90 s
    return { ...gateway, attempts };
  }

  it.each([-50, 5])("is not touched by a clock that jumps %i years within a boot", (years) => {
    const { machine, attempts, open } = failedOnce();
    machine.pass(30_000);
    machine.setClock(Date.UTC(2026 + years, 0, 1));
    expect(attempts.pause()?.forMs).toBe(60_000);
    expect(open().pause()?.forMs).toBe(60_000);
  });

  it("goes on over a reboot by the wall clock", () => {
    const { machine, open } = failedOnce();
    machine.reboot();
    machine.pass(40_000);
    expect(open().pause()?.forMs).toBe(50_000);
  });

  it("starts anew where a reboot loses the time", () => {
    const { machine, open } = failedOnce();
    machine.pass(80_000);
    machine.reboot(0);
    expect(open().pause()?.forMs).toBe(90_000);
    machine.pass(85_000);
    expect(open().pause()?.forMs).toBe(5_000);
    machine.setClock(Date.UTC(2026, 0, 1, 0, 2));
    expect(open().pause()).toBeUndefined();
  });

  it("is short where a reboot loses the time, so that short boots do not wait for ever", () => {
    const { machine, attempts, open } = failedOnce();
    for (let count = 0; count < 5; count++) attempts.failed(notEnrolled, withoutAssignment);
    expect(open().pause()?.forMs).toBeGreaterThan(40 * minute);
    machine.reboot(0);
    expect(open().pause()?.forMs).toBe(5 * minute);
  });
});

describe("a splay", () => {
  it("is this device's place in the window, counted from the first sight of the trigger", () => {
    const { machine, open } = aGateway();
    const share = open().splay("config-changed:1", "gw-7", hour)?.forMs ?? Number.NaN;
    expect(share).toBeGreaterThan(0);
    machine.pass(share - 1_000);
    machine.reboot();
    expect(open().splay("config-changed:1", "gw-7", hour)?.forMs).toBe(1_000);
    machine.pass(1_000);
    expect(open().splay("config-changed:1", "gw-7", hour)).toBeUndefined();
  });

  it("begins anew with another trigger, and with the same after it was answered", () => {
    const { machine, open } = aGateway();
    const attempts = open();
    const share = attempts.splay("config-changed:1", "gw-7", hour)?.forMs ?? Number.NaN;
    machine.pass(share);
    expect(attempts.splay("config-changed:2", "gw-7", hour)?.forMs).toBe(share);
    machine.pass(share);
    attempts.begin("config-changed");
    attempts.succeeded();
    expect(attempts.splay("config-changed:2", "gw-7", hour)?.forMs).toBe(share);
  });

  it("is over once an attempt was made, however long that fails", () => {
    const { machine, open } = aGateway();
    const attempts = open();
    machine.pass(attempts.splay("timer", "gw-7", hour)?.forMs ?? Number.NaN);
    attempts.begin("timer");
    attempts.failed(notEnrolled, withoutAssignment);
    machine.pass(10 * hour);
    expect(open().splay("timer", "gw-7", hour)).toBeUndefined();
  });

  it("begins anew when a change that was taken back comes again", () => {
    const { machine, open } = aGateway();
    const share = open().splay("config-changed:1", "gw-7", hour)?.forMs;
    machine.pass(20 * 24 * hour);
    expect(open().splay("config-changed:1", "gw-7", hour)?.forMs).toBe(share);
  });

  it("is nothing without a window", () => {
    const { directory, open } = aGateway();
    expect(open().splay("first-boot", "gw-7", 0)).toBeUndefined();
    expect(readdirSync(directory)).toEqual([]);
  });
});

describe("attempts.json", () => {
  it("keeps the lower bound of time, whatever else happens", () => {
    const { open } = aGateway();
    const attempts = open();
    attempts.setTimeFloor(1_234);
    attempts.begin("first-boot");
    attempts.failed(notEnrolled, withoutAssignment);
    attempts.forgive({ isBusyForgiven: true });
    attempts.begin("operator");
    attempts.succeeded();
    expect(open().timeFloor).toBe(1_234);
  });

  it.each([
    ["nothing", ""],
    ["half a file", '{"schemaVersion": 1, "fail'],
    ["another program's", '["a"]'],
    ["a newer version's", '{"schemaVersion":2,"failures":{},"budget":{"left":1,"from":{"at":0}}}'],
    [
      "a wait that never ends",
      '{"schemaVersion":1,"failures":{},"budget":{"left":1,"from":{"at":0}},"wait":{"delayMs":1e300,"because":"","from":{"at":0}}}',
    ],
  ])("is set aside when it holds %s, and only once something is to be written", (_what, content) => {
    const { directory, open, path, log } = aGateway();
    writeFileSync(path, content);
    const attempts = open();
    expect(attempts.pause()).toBeUndefined();
    expect(readFileSync(path, "utf8")).toBe(content);
    attempts.begin("first-boot");
    const [aside = ""] = readdirSync(join(directory, "quarantine"));
    expect(readFileSync(join(directory, "quarantine", aside), "utf8")).toBe(content);
    expect(log.named("warn")).toEqual(["attempts.quarantined"]);
    expect(open().failures).toBe(1);
  });

  it.each<[string, (path: string) => void]>([
    ["a directory", (path) => mkdirSync(path)],
    ["a link to itself", (path) => symlinkSync(path, path)],
  ])("is set aside when it is %s", (_what, make) => {
    const { directory, open, path } = aGateway();
    make(path);
    open().begin("first-boot");
    expect(readdirSync(join(directory, "quarantine"))).toHaveLength(1);
    expect(open().failures).toBe(1);
  });

  it("holds nobody up when it cannot be written: the memory lasts as long as the process", () => {
    const { directory, machine, log } = aGateway();
    const gone = join(directory, "not-there");
    const attempts = openAttempts(gone, { ...machine, log, random: () => 0.5 });
    attempts.begin("first-boot");
    attempts.failed(notEnrolled, withoutAssignment);
    const again = openAttempts(gone, { ...machine, log, random: () => 0.5 });
    again.begin("first-boot");
    again.failed(notEnrolled, withoutAssignment);
    expect(again).toMatchObject({ failures: 2 });
    expect(again.pause()).toMatchObject({ forMs: 180_000 });
    expect(log.named("warn")).toEqual(["attempts.not-kept"]);
  });

  it("is written again as soon as the disk takes it", () => {
    const { directory, machine, log } = aGateway();
    const late = join(directory, "late");
    const attempts = openAttempts(late, { ...machine, log, random: () => 0.5 });
    attempts.begin("first-boot");
    mkdirSync(late);
    attempts.failed(notEnrolled, withoutAssignment);
    expect(openAttempts(late, { ...machine, log }).lastFailure).toMatchObject({ trigger: "first-boot" });
  });

  /** So many attempts in a row find no line. */
  function outage({ open, machine }: ReturnType<typeof aGateway>, count: number): void {
    const attempts = open();
    for (let number = 0; number < count; number++) {
      machine.pass(attempts.pause()?.forMs ?? 0);
      attempts.begin("first-boot");
      attempts.failed(noConnection, withoutAssignment);
    }
  }

  it("is not written again and again while the line cannot be had", () => {
    const gateway = aGateway();
    outage(gateway, 1_000);
    const { mtimeMs, ino } = statSync(gateway.path);
    const record = JSON.parse(readFileSync(gateway.path, "utf8"));
    expect(record).toMatchObject({
      running: {},
      lastFailure: { code: "ERR_CONNECT" },
      failures: { line: 1 },
    });
    outage(gateway, 10);
    expect(statSync(gateway.path)).toMatchObject({ mtimeMs, ino });
    expect(gateway.open()).toMatchObject({ failures: 1_010 });
  });

  it("is written again as soon as something else happens", () => {
    const gateway = aGateway();
    outage(gateway, 5);
    const attempts = gateway.open();
    attempts.begin("first-boot");
    attempts.failed(notEnrolled, withoutAssignment);
    expect(JSON.parse(readFileSync(gateway.path, "utf8"))).toMatchObject({
      failures: { line: 5, slow: 1 },
      lastFailure: { code: "ERR_NOT_ENROLLED" },
    });
  });

  it("counts the one attempt in which the agent is killed after such a time", () => {
    const gateway = aGateway();
    outage(gateway, 5);
    gateway.open().begin("first-boot");
    const atThatMoment = readFileSync(gateway.path, "utf8");
    // Another process has nothing but the file.
    const next = aGateway();
    writeFileSync(next.path, atThatMoment);
    expect(next.open().failures).toBe(2);
    expect(JSON.parse(atThatMoment)).toMatchObject({
      running: { trigger: "first-boot" },
      budget: { left: 13 },
    });
  });

  it("keeps what another process wrote in such a time", () => {
    const gateway = aGateway();
    outage(gateway, 5);
    const record = JSON.parse(readFileSync(gateway.path, "utf8"));
    writeFileSync(gateway.path, JSON.stringify({ ...record, timeFloor: 77 }));
    expect(gateway.open().timeFloor).toBe(77);
  });

  it("keeps what another process wrote meanwhile", () => {
    const { open } = aGateway();
    const daemon = open();
    open().setTimeFloor(5);
    daemon.begin("timer");
    expect(open().timeFloor).toBe(5);
  });

  it("holds no more of a server's words than it can read again", () => {
    const { open } = aGateway();
    const attempts = open();
    attempts.begin("first-boot");
    attempts.failed(
      new MooringError("ERR_PROTOCOL", "x".repeat(1e6), {
        trackingId: "y".repeat(1e6),
        hint: "z".repeat(1e6),
      }),
      withoutAssignment,
    );
    expect(open().lastFailure?.message).toHaveLength(2_000);
  });

  it.skipIf(process.getuid?.() !== 0)("is set aside when this user may not read it", () => {
    const { open, path } = aGateway();
    writeFileSync(path, "{}");
    chmodSync(path, 0);
    open().begin("first-boot");
    expect(open().failures).toBe(1);
  });
});
