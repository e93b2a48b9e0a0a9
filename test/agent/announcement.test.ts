// What systemd is told of the assignment, in two files of a directory beside the control socket.

import { chownSync, existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, describe, expect, it } from "vitest";
import { announce, announceAgain, isAnnounced, revoke, tellIfUnheard } from "../../src/agent/announcement.ts";
import type { Assignment } from "../../src/assignment/assignment.ts";
import { type Generation, prepareState, promote, stage } from "../../src/assignment/generations.ts";
import { lockState } from "../../src/assignment/lock.ts";
import type { OutputResult } from "../../src/assignment/outputs.ts";
import { loadConfig } from "../../src/config/load.ts";
import type { Config } from "../../src/config/schema.ts";
import { anAssignment } from "../support/assignments.ts";
import { type RecordingLog, recordingLog } from "../support/recording-log.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

let config: Config;
let run: string;
let log: RecordingLog;

beforeEach(() => {
  const directory = temporaryDirectory();
  run = join(directory, "run/agent");
  log = recordingLog();
  mkdirSync(run, { recursive: true });
  writeFileSync(
    join(directory, "config.toml"),
    `[provisioning]
id_scope = "0ne0000AAAA"
[state]
directory = "state"
[daemon]
control_socket = "run/control.sock"
[[outputs]]
path = "hub.env"
format = "template"
template = "hub.template"
`,
  );
  writeFileSync(join(directory, "hub.template"), "{{ assigned_hub }}");
  config = loadConfig(join(directory, "config.toml"));
  prepareState(config.state.directory);
});

const out: readonly OutputResult[] = [{ path: "/etc/hub.env", status: "unchanged" }];

function promoted(changes: Partial<Assignment> = {}, hubKey?: Uint8Array): Generation {
  const { directory } = config.state;
  using _lock = lockState(directory);
  const content = { assignment: { ...anAssignment(), ...changes }, ...(hubKey && { hubKey }) };
  return promote(directory, stage(directory, content));
}

const assigned = (): string | undefined =>
  existsSync(join(run, "assigned")) ? readFileSync(join(run, "assigned"), "utf8") : undefined;

/** Whether it was rung; it is taken away, as systemd does. */
function rang(): boolean {
  const is = existsSync(join(run, "changed"));
  rmSync(join(run, "changed"), { force: true });
  return is;
}

describe("an announcement", () => {
  it("is rung for once, and again when programs have to work otherwise", () => {
    const first = promoted();
    expect(isAnnounced(config, first)).toBe(false);
    announce(config, first, out, log);
    expect(isAnnounced(config, first)).toBe(false); // it cannot be read
    const output = join(run, "../../hub.env");
    writeFileSync(output, "another hub");
    expect(isAnnounced(config, first)).toBe(false);
    writeFileSync(output, first.assignment.assignedHub);
    expect(isAnnounced(config, first)).toBe(true);
    expect([assigned(), rang()]).toEqual([
      expect.stringMatching(/^[0-9a-f]{64}\nin \/etc\/hub.env\n\n#.*\nIOTHUB_HOSTNAME="/),
      true,
    ]);

    const said = assigned();
    announce(config, promoted({ assignedAt: "2031-01-01T00:00:00.000Z", transport: "https" }), out, log);
    expect([assigned(), rang()]).toEqual([said, false]);
    const moved = promoted({ assignedHub: "second.example" });
    expect(isAnnounced(config, moved)).toBe(false);
    announce(config, moved, out, log);
    expect([assigned() === said, rang()]).toEqual([false, true]);
    expect(log.named("warn")).toEqual([]);
  });

  it("goes when there is nothing to work with, once", () => {
    announce(config, promoted(), out, log);
    rang();
    revoke(config, log);
    expect([assigned(), rang()]).toEqual([undefined, true]);
    revoke(config, log);
    expect(rang()).toBe(false);
  });

  it("waits for an output that can be read, and is another one once the rest is there", () => {
    const failed: OutputResult = { path: "/run/more.env", status: "failed" };
    const generation = promoted();
    announce(config, generation, [failed], log);
    expect([assigned(), rang()]).toEqual([undefined, false]);
    announce(config, generation, [...out, failed], log);
    const [where = "", environment] = assigned()?.split("\n\n") ?? [];
    const saying = (more: string): string =>
      `${where.split("\n")[0]}\nin /etc/hub.env\n${more}\n\n${environment}`;
    expect([assigned(), rang()]).toEqual([saying("without /run/more.env"), true]);
    announce(config, generation, [...out, { ...failed, status: "written" }], log);
    expect([assigned(), rang()]).toEqual([saying("in /run/more.env"), true]);
  });

  it("says what is in the environment of programs, and that without a payload which cannot be", () => {
    announce(config, promoted({ payload: { a: '"' } }), out, log);
    expect(assigned()).toContain('\nDPS_PAYLOAD="{\\"a\\":\\"\\\\\\"\\"}"\n');
    for (const payload of ["\x07", "\ufdd0", "x".repeat(128 << 10)]) {
      announce(config, promoted({ payload }), out, log);
      expect(assigned()).toContain("\nIOTHUB_HOSTNAME=");
      expect(assigned()).not.toContain("DPS_PAYLOAD");
    }
    expect(log.named("warn")).toEqual([]);
  });

  it("waits for the hub key to be where programs look for it", () => {
    const hubKey = { handle: 0x81000100, name: "000b00" };
    announce(config, promoted({ hubKey }, new Uint8Array([1, 2, 3])), out, log);
    expect([assigned(), rang()]).toEqual([undefined, false]);
  });

  it("is kept with the state for a boot at which the agent cannot start", () => {
    announce(config, promoted(), out, log);
    const kept = (): string => readFileSync(join(config.state.directory, "announced"), "utf8");
    expect(kept()).toBe(assigned());
    revoke(config, log);
    expect(kept).toThrow("ENOENT");
  });

  it("is made again while what was published is there, whatever became of the generation", () => {
    const output = join(run, "../../hub.env");
    writeFileSync(output, "second.example");
    const failed: OutputResult = { path: "/nowhere/hub.env", status: "failed" };
    announceAgain(config, log);
    expect([assigned(), rang()]).toEqual([undefined, false]); // there was none
    announce(config, promoted(), [{ path: output, status: "written" }, failed], log);
    const said = assigned();
    const reboot = (): void => {
      rmSync(join(run, "assigned"));
      rang();
    };

    reboot();
    announceAgain(config, log);
    expect([assigned(), rang()]).toEqual([said, true]);
    announceAgain(config, log);
    expect(rang()).toBe(false);

    reboot();
    rmSync(output);
    announceAgain(config, log);
    expect([assigned(), rang()]).toEqual([undefined, false]);
    expect(log.named("warn")).toEqual([]);
  });

  it("is made by nobody where nobody listens, and follows no link when it rings", () => {
    const victim = join(run, "..", "victim");
    writeFileSync(victim, "precious");
    symlinkSync(victim, join(run, "changed"));
    announce(config, promoted(), out, log);
    expect(readFileSync(victim, "utf8")).toBe("precious");

    rmSync(run, { recursive: true });
    announce(config, promoted({ assignedHub: "second.example" }), out, log);
    expect(existsSync(run)).toBe(false);
    expect(log.named("warn")).toEqual([]);
  });

  it("that systemd's units would not find is told of", () => {
    const [state, elsewhere] = [config.state.directory, join(run, "elsewhere")];
    const told = (env: NodeJS.ProcessEnv): number => {
      const before = log.named("warn").length;
      tellIfUnheard(config, log, env);
      return log.named("warn").length - before;
    };
    expect(told({})).toBe(0);
    expect(told({ RUNTIME_DIRECTORY: `/run/gateway:${run}`, STATE_DIRECTORY: state })).toBe(0);
    expect(told({ RUNTIME_DIRECTORY: elsewhere, STATE_DIRECTORY: state })).toBe(1);
    expect(told({ RUNTIME_DIRECTORY: run, STATE_DIRECTORY: elsewhere })).toBe(1);
    expect(log.named("warn")).toEqual(["announcement.unheard", "announcement.unheard"]);
  });

  it.runIf(process.getuid?.() === 0)("is not made for another user's agent", () => {
    chownSync(run, 65534, 65534);
    expect(announce(config, promoted(), out, log)).toBeUndefined();
    expect([assigned(), rang()]).toEqual([undefined, false]);
    chownSync(run, 0, 0);
    announce(config, promoted(), out, log); // negative control
    expect(rang()).toBe(true);
  });

  it("that cannot be made is told of, and ends nothing", () => {
    symlinkSync("/nowhere", join(run, "assigned"));
    expect(announce(config, promoted(), out, log)).toMatchObject({
      ...{ path: join(run, "assigned"), status: "failed", error: { code: "ERR_OUTPUT" } },
    });
    expect(log.named("warn")).toEqual(["announcement.failed"]);
  });
});
