import { describe, expect, it } from "vitest";
import type { Status } from "../../src/agent/status.ts";
import { statusRows } from "../../src/cli/status-text.ts";
import { anAssignment } from "../support/assignments.ts";
import { aStatus } from "../support/control.ts";

const now = Date.parse("2026-01-02T04:04:05.000Z");

/** Each line as `name: text`, its style in brackets; an empty line between groups. */
const linesOf = (change: Partial<Status>): string[] =>
  statusRows({ ...aStatus, ...change }, now).flatMap((rows, index) => [
    ...(index > 0 ? [""] : []),
    ...rows.map(([name, text, style]) => `${name}: ${text}${style ? ` [${style}]` : ""}`),
  ]);
const lineOf = (name: string, change: Partial<Status>): string | undefined =>
  linesOf(change).find((line) => line.startsWith(`${name}: `));

describe("a status", () => {
  it("says the three answers first, then the assignment, then what comes", () => {
    const since = "2026-01-02T04:03:05.000Z";
    const alive = { running: true, pid: 4711, activity: "resting", since } as const;
    const usable = { ...aStatus.usable, certificateDaysLeft: 300 };
    expect(linesOf({ alive, usable })).toEqual([
      "agent: running, resting (process 4711, for 60 s) [green]",
      "identity: gw-0001 at contoso.azure-devices.net [green]",
      "confirmed: by the service, 60 min ago (2026-01-02 03:04:05 UTC)",
      "",
      "hub: contoso.azure-devices.net",
      "device id: gw-0001",
      "registration id: gw-0001",
      "id scope: 0ne0012ABCD",
      "attestation: x509",
      "certificate: 300 days left",
      "transport: mqtt",
      "substatus: initialAssignment",
      "generation: 7",
      "",
      "next: nothing: the assignment fits the configuration [green]",
    ]);
  });

  it("is short where there is nothing", () => {
    expect(
      linesOf({
        alive: { running: false },
        usable: { yes: false, because: "there is no assignment" },
        confirmed: { because: "the service has not assigned this gateway" },
        decision: { act: "provision", trigger: "first-boot", because: "there is no assignment yet" },
        clock: "implausible",
      }),
    ).toEqual([
      "agent: not running",
      "identity: none to use: there is no assignment [red]",
      "confirmed: never: the service has not assigned this gateway [yellow]",
      "",
      "clock: cannot be right; see `timedatectl status` [yellow]",
      "next: `mooring provision` would register: there is no assignment yet [yellow]",
    ]);
  });

  it("says what failed, what to do, and when it tries again", () => {
    const lines = linesOf({
      lastFailure: {
        ...{ code: "ERR_THROTTLED", message: "slow down", hint: "wait", trigger: "timer" },
        ...{ at: "2026-01-02T04:00:05.000Z", serviceErrorCode: 429001, trackingId: "abc" },
      },
      decision: { act: "wait", trigger: "timer", because: "the service is busy", forMs: 720_000 },
      nextAttempt: { at: "2026-01-02T04:16:05.000Z", inMs: 720_000, because: "the service is busy" },
    });
    expect(lines.slice(-3)).toEqual([
      "last failure: 4 min ago, ERR_THROTTLED: slow down (service errorCode 429001, tracking id abc) [red]",
      "  to do: wait [bold]",
      "next: tries again in 12 min: the service is busy [yellow]",
    ]);
  });

  it.each([
    [400, "400 days left"],
    [29, "29 days left [yellow]"],
    [1, "1 day left [yellow]"],
    [0, "0 days left [yellow]"],
    [-1, "ended 1 day ago [red]"],
  ])("with %i days left of the certificate says: %s", (certificateDaysLeft, words) => {
    const usable = { ...aStatus.usable, certificateDaysLeft };
    expect(lineOf("certificate", { usable })).toBe(`certificate: ${words}`);
  });

  it.each<[Partial<Status>, string]>([
    [
      {
        decision: {
          act: "stop",
          code: "ERR_KEY_MISMATCH",
          trigger: "operator",
          because: "it failed for good",
        },
      },
      "nothing before configuration or identity change, or `mooring reprovision` (ERR_KEY_MISMATCH): it failed for good [red]",
    ],
    [
      { decision: { act: "keep", pending: { trigger: "config-changed", because: "the id scope is now X" } } },
      "`mooring reprovision` would register, and waits for you to say so: the id scope is now X [yellow]",
    ],
    [
      { decision: { act: "keep" }, nextAttempt: { at: "", inMs: 86_400_000 * 30, because: "timer" } },
      "nothing: the assignment fits the configuration; looks again in 30 d: timer [green]",
    ],
    [
      { decision: { act: "provision", trigger: "operator", because: "an operator asked for it" } },
      "the agent is at it: an operator asked for it [yellow]",
    ],
    [
      { decision: { act: "wait", trigger: "timer", because: "the clock cannot be right" } },
      "waits: the clock cannot be right [yellow]",
    ],
  ])("with %j says what comes", (change, words) => {
    expect(lineOf("next", change)).toBe(`next: ${words}`);
  });

  it("that cannot tell what comes says what is in the way", () => {
    const { decision: _decision, ...rest } = aStatus;
    const trouble = { code: "ERR_IDENTITY_UNREADABLE", message: "cannot read", hint: "check" } as const;
    const lines = statusRows({ ...rest, trouble }, now).flat();
    expect(lines.slice(-3)).toEqual([
      ["trouble", "ERR_IDENTITY_UNREADABLE: cannot read", "red"],
      ["  to do", "check", "bold"],
      ["next", "nothing before the trouble is mended", "yellow"],
    ]);
  });

  it("says what the service says since it confirmed", () => {
    const confirmed = { at: "2026-01-02T03:04:05.000Z", by: "service", because: "it is disabled" } as const;
    expect(lineOf("confirmed", { confirmed })).toMatch(/since then: it is disabled \[red\]$/);
  });

  it("does not count from a future that only the clock believes in", () => {
    expect(lineOf("confirmed", { confirmed: { at: "2031-01-01T00:00:00.000Z", by: "service" } })).toContain(
      "in the future, by this clock",
    );
  });

  it("names where the hub key is", () => {
    const assignment = anAssignment({ attestation: "tpm", hubKey: { handle: 0x8100_0100, name: "00" } });
    expect(lineOf("hub key", { usable: { yes: true, assignment, generation: 1 } })).toBe(
      "hub key: in the TPM at 0x81000100",
    );
  });
});
