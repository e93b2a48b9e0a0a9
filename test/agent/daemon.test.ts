// The daemon's loop, with time and the service in the test's hand and everything else real: configuration, identity
// files, state directory, outputs.

import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Daemon } from "../../src/agent/daemon.ts";
import type { Doing } from "../../src/agent/doing.ts";
import type { Work } from "../../src/agent/errand.ts";
import { fullBudget } from "../../src/agent/pace.ts";
import type { Provisioned } from "../../src/agent/provision.ts";
import { serve } from "../../src/agent/serve.ts";
import type { Assignment } from "../../src/assignment/assignment.ts";
import { loadCurrent, prepareState, promote, stage } from "../../src/assignment/generations.ts";
import { loadConfig } from "../../src/config/load.ts";
import type { Config } from "../../src/config/schema.ts";
import { type ErrorCode, MooringError } from "../../src/errors.ts";
import { anAssignment } from "../support/assignments.ts";
import { eventually } from "../support/eventually.ts";
import { type ManualClock, manualClock } from "../support/manual-clock.ts";
import { type RecordingLog, recordingLog } from "../support/recording-log.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

type Answer = ErrorCode | "assign" | "hang";

const minute = 60_000;

let directory: string;
let clock: ManualClock;
let log: RecordingLog;
let stop: AbortController;
let doings: Doing[];
/** What the service, or the TPM, does next. */
let answer: Answer;
let errands: { work: Work; at: number }[];
let inUse: boolean;
let reloads: number;
/** Whenever the daemon says what it is at. */
let look: () => void;
/** Ends what hangs. */
let letGo: AbortController;
let dieAfterPromotion: boolean;

beforeEach(() => {
  directory = temporaryDirectory();
  clock = manualClock();
  log = recordingLog();
  stop = new AbortController();
  doings = [];
  answer = "assign";
  errands = [];
  inUse = false;
  reloads = 0;
  letGo = new AbortController();
  look = () => {};
  dieAfterPromotion = false;
  configure();
});
afterEach(() => stop.abort(new MooringError("ERR_CANCELLED", "the test is over")));

const keyFile = (): string => join(directory, "key");
const output = (): string => join(directory, "hub.env");

function configure({ idScope = "0ne0000AAAA", outputs = '[{ path = "hub.env" }]', more = "" } = {}): void {
  if (!existsSync(keyFile())) writeFileSync(keyFile(), `${Buffer.alloc(32, 1).toString("base64")}\n`);
  writeFileSync(
    join(directory, "config.toml"),
    `outputs = ${outputs}
[provisioning]
endpoint = "dps.example"
id_scope = "${idScope}"
[identity]
source = "symmetric-key"
registration_id = "gw-0001"
[identity.symmetric_key]
key_file = "key"
[state]
directory = "state"
${more}
`,
  );
}

/** The identity's key as the agent sees it: the daemon compares it with the assignment's. */
async function assignmentFor({ provisioning }: Config, hub: string): Promise<Assignment> {
  const { openSymmetricKeyIdentity } = await import("../../src/identity/symmetric-key.ts");
  const { publicKeySha256 } = openSymmetricKeyIdentity(
    { keyFile: keyFile() },
    { registrationId: "gw-0001", log },
  );
  const { endpoint, idScope } = provisioning;
  return anAssignment({
    ...{ assignedHub: hub, endpoint, idScope, publicKeySha256, attestation: "symmetricKey" },
    assignedAt: new Date(clock.now()).toISOString(),
  });
}

async function sendOnErrand(config: Config, work: Work, signal: AbortSignal): Promise<Provisioned | null> {
  errands.push({ work, at: clock.monotonic() });
  if (answer === "hang")
    return new Promise((_, reject) => {
      for (const one of [signal, letGo.signal]) one.addEventListener("abort", () => reject(one.reason));
    });
  if (answer !== "assign") throw new MooringError(answer, "as the test wants it");
  const state = config.state.directory;
  prepareState(state);
  const assignment = await assignmentFor(config, `hub-${errands.length}.example`);
  const generation = promote(state, stage(state, { assignment }));
  if (dieAfterPromotion)
    throw new MooringError("ERR_INTERNAL", "the process that did the work ended with SIGKILL");
  return serve(config, generation, { clock, log, signal });
}

function start(): { daemon: Daemon; ended: Promise<void> } {
  const daemon = new Daemon({
    ...{ clock, log, signal: stop.signal, boot: clock.boot, random: () => 0.5 },
    readConfig: () => loadConfig(join(directory, "config.toml")),
    sendOnErrand,
    onDoing: (doing) => {
      doings.push(doing);
      look();
    },
    onReloaded: () => void reloads++,
    isInUse: () => inUse,
  });
  const ended = daemon.serve().then(() => daemon.run());
  ended.catch(() => {});
  return { daemon, ended };
}

const activity = (): string | undefined => doings.at(-1)?.activity;
const becomes = (wanted: string): Promise<void> => eventually(() => expect(activity()).toBe(wanted));
const attempts = (count: number): Promise<void> => eventually(() => expect(errands).toHaveLength(count));
/** Lets the wait that the daemon is in pass. */
async function sleepOut(): Promise<number> {
  await becomes("waiting");
  const ms = (doings.at(-1)?.next?.at ?? Number.NaN) - clock.monotonic();
  clock.pass(ms);
  return ms;
}

/** A daemon that has an assignment, and rests. */
async function settled(): Promise<ReturnType<typeof start>> {
  const started = start();
  await attempts(1);
  await becomes("resting");
  return started;
}

describe("a first boot", () => {
  it("provisions, publishes, and rests without end", async () => {
    await settled();
    expect(errands[0]?.work).toMatchObject({ do: "provision", reason: { trigger: "first-boot" } });
    expect(readFileSync(output(), "utf8")).toContain("hub-1.example");
    clock.pass(365 * 24 * 60 * minute);
    await becomes("resting");
    expect(errands).toHaveLength(1);
  });

  it("keeps asking, slowly, while it is not enrolled, and is done once it is", async () => {
    answer = "ERR_NOT_ENROLLED";
    start();
    const waits: number[] = [];
    for (let count = 1; count <= 9; count++) {
      await attempts(count);
      waits.push(await sleepOut());
    }
    expect(Math.min(...waits)).toBeGreaterThanOrEqual(minute);
    expect(Math.max(...waits)).toBeLessThanOrEqual(60 * minute);
    expect(waits.at(-1)).toBeGreaterThan(30 * minute);
    answer = "assign";
    await becomes("resting");
  });

  it("stops at what cannot succeed, and tries again when the identity is another", async () => {
    answer = "ERR_KEY_MISMATCH";
    const { daemon } = start();
    await becomes("stopped");
    expect(doings.at(-1)?.outlook?.decision).toMatchObject({ act: "stop", code: "ERR_KEY_MISMATCH" });
    clock.pass(24 * 60 * minute);
    expect(errands).toHaveLength(1);

    answer = "assign";
    daemon.notice("identity-changed");
    await becomes("resting");
    expect(errands).toHaveLength(2);
  });

  it("takes its own place in the window of the fleet", async () => {
    configure({ more: '[reprovision]\nfirst_boot_splay = "1h"' });
    start();
    const share = await sleepOut();
    await becomes("resting");
    expect(share).toBeGreaterThan(0);
    expect(share).toBeLessThan(60 * minute);
  });

  it("asks no more often when the disk keeps no record of it", async () => {
    // A directory where the record should be.
    mkdirSync(join(directory, "state/attempts.json/x"), { recursive: true });
    answer = "ERR_NOT_ENROLLED";
    start();
    await attempts(1);
    expect(await sleepOut()).toBeGreaterThanOrEqual(minute);
    await attempts(2);
    await becomes("waiting");
  });
});

describe("an assignment that fits", () => {
  it("is served before anything else, and nobody is asked", async () => {
    await settled();
    stop.abort(new MooringError("ERR_CANCELLED", "off"));
    stop = new AbortController();
    rmSync(output());
    start();
    await becomes("resting");
    expect(existsSync(output())).toBe(true);
    expect(errands).toHaveLength(1);
  });

  it("is asked for again when the timer is due, counted from its confirmation", async () => {
    configure({ more: '[reprovision]\nevery = "30d"\nsplay = "0s"' });
    await settled();
    clock.pass(30 * 24 * 60 * minute - 1);
    await eventually(() => expect(clock.sleepers()[0]).toBeLessThanOrEqual(12 * 60 * minute));
    expect(errands).toHaveLength(1);
    for (let slept = 0; slept < 62 && errands.length === 1; slept++) {
      clock.pass(12 * 60 * minute);
      await eventually(() => expect(clock.sleepers()).not.toEqual([]));
    }
    await attempts(2);
    expect(errands[1]?.work).toMatchObject({ reason: { trigger: "timer" } });
  });

  it("is asked for at this gateway's place in the window when the timer ran out with the power off", async () => {
    configure({ more: '[reprovision]\nevery = "30d"' });
    await settled();
    stop.abort(new MooringError("ERR_CANCELLED", "off"));
    stop = new AbortController();
    clock.pass(90 * 24 * 60 * minute);
    start();
    expect(await sleepOut()).toBeLessThan(15 * minute);
    await attempts(2);
    expect(errands[1]?.work).toMatchObject({ reason: { trigger: "timer" } });
  });
});

describe("a changed configuration", () => {
  it("is acted on at this gateway's place in the window", async () => {
    const { daemon } = await settled();
    configure({ idScope: "0ne0000BBBB" });
    daemon.notice("reload");
    const share = await sleepOut();
    await attempts(2);
    expect(share).toBeLessThan(15 * minute);
    expect(errands[1]?.work).toMatchObject({ reason: { trigger: "config-changed" } });
    await becomes("resting");
  });

  it("waits for a person where the policy says so", async () => {
    configure({ more: '[reprovision]\non_change = "ask"' });
    const { daemon } = await settled();
    configure({ idScope: "0ne0000BBBB", more: '[reprovision]\non_change = "ask"' });
    daemon.notice("reload");
    await eventually(() =>
      expect(doings.at(-1)?.outlook?.decision).toMatchObject({ pending: { trigger: "config-changed" } }),
    );
    expect(errands).toHaveLength(1);
    expect((await daemon.ask("operator")).assignment.idScope).toBe("0ne0000BBBB");
  });

  it("ends an attempt under the old one", async () => {
    answer = "hang";
    const { daemon } = start();
    await attempts(1);
    configure({ idScope: "0ne0000BBBB" });
    answer = "assign";
    daemon.notice("reload");
    await becomes("resting");
    expect(loadCurrent(join(directory, "state"), { log })?.assignment.idScope).toBe("0ne0000BBBB");
  });

  it("that cannot be read leaves the old one in force, and is told", async () => {
    const { daemon } = await settled();
    writeFileSync(join(directory, "config.toml"), "not toml at all");
    daemon.notice("reload");
    await eventually(() => expect(doings.at(-1)?.trouble?.code).toBe("ERR_CONFIG_INVALID"));
    expect(activity()).toBe("resting");
    expect(daemon.config.provisioning.idScope).toBe("0ne0000AAAA");
    configure();
    daemon.notice("reload");
    await eventually(() => expect(doings.at(-1)?.trouble).toBeUndefined());
  });
});

describe("a replaced key", () => {
  it("is noticed, and registered", async () => {
    await settled();
    writeFileSync(keyFile(), `${Buffer.alloc(32, 2).toString("base64")}\n`);
    await eventually(() => expect(clock.sleepers()[0]).toBe(2_000));
    clock.pass(2_000);
    await attempts(2);
    expect(errands[1]?.work).toMatchObject({ reason: { trigger: "identity-changed" } });
  });

  it("that is not there for a moment costs nothing but a word", async () => {
    const { daemon } = await settled();
    const key = readFileSync(keyFile());
    rmSync(keyFile());
    daemon.notice("identity-changed");
    await becomes("stopped");
    expect(doings.at(-1)?.trouble?.code).toBe("ERR_IDENTITY_UNREADABLE");
    expect(readFileSync(output(), "utf8")).toContain("hub-1.example");
    writeFileSync(keyFile(), key);
    clock.pass(10 * minute);
    await becomes("resting");
  });
});

/** A daemon that has an assignment and learns that its enrollment is disabled, under the policy to withdraw it then. */
async function disabledWhereThatWithdraws(): Promise<void> {
  configure({ more: '[reprovision]\non_disenrolled = "withdraw"' });
  const { daemon } = await settled();
  answer = "ERR_DISABLED";
  await expect(daemon.ask("operator")).rejects.toMatchObject({ code: "ERR_DISABLED" });
}

describe("a gateway whose enrollment is gone", () => {
  it("keeps its assignment, loudly, and looks now and then whether it is back", async () => {
    const { daemon } = await settled();
    answer = "ERR_NOT_ENROLLED";
    await expect(daemon.ask("operator")).rejects.toMatchObject({ code: "ERR_NOT_ENROLLED" });
    await sleepOut();
    await attempts(3);
    expect(errands[2]?.work).toMatchObject({ reason: { trigger: "disenrolled" } });
    expect(log.named("warn")).toContain("provisioning.failed");
    expect(existsSync(output())).toBe(true);
    answer = "assign";
    await sleepOut();
    await becomes("resting");
  });

  it("publishes nothing any more where the policy says so, and again once it is back", async () => {
    await disabledWhereThatWithdraws();
    await becomes("waiting");
    expect(existsSync(output())).toBe(false);
    expect(loadCurrent(join(directory, "state"), { log })?.assignment.assignedHub).toBe("hub-1.example");
    answer = "assign";
    await sleepOut();
    await becomes("resting");
    expect(existsSync(output())).toBe(true);
  });

  it("goes on asking whatever else fails meanwhile", async () => {
    await disabledWhereThatWithdraws();
    answer = "ERR_CONNECT";
    await sleepOut();
    await attempts(3);
    answer = "assign";
    await sleepOut();
    await becomes("resting");
    expect(existsSync(output())).toBe(true);
  });

  it("goes on asking when what it remembered of that is lost", async () => {
    await disabledWhereThatWithdraws();
    await becomes("waiting");
    stop.abort(new MooringError("ERR_CANCELLED", "off"));
    stop = new AbortController();
    writeFileSync(join(directory, "state/attempts.json"), "");
    answer = "assign";
    start();
    await eventually(() => expect(existsSync(output())).toBe(true));
  });

  it("stays silent over a restart, and speaks when the policy changes", async () => {
    await disabledWhereThatWithdraws();
    await becomes("waiting");
    stop.abort(new MooringError("ERR_CANCELLED", "off"));
    stop = new AbortController();
    const { daemon: second } = start();
    await becomes("waiting");
    expect(existsSync(output())).toBe(false);
    configure();
    second.notice("reload");
    await eventually(() => expect(existsSync(output())).toBe(true));
  });
});

describe("a hub key that the TPM does not hold", () => {
  it("is not mended again and again with a password that is wrong, until something changes", async () => {
    const config = loadConfig(join(directory, "config.toml"));
    const hubKey = Buffer.from("wrapped");
    const assignment = await assignmentFor(config, "hub.example");
    prepareState(config.state.directory);
    const kept = { assignment: { ...assignment, hubKey: { handle: 0x81000100, name: "000b" } }, hubKey };
    promote(config.state.directory, stage(config.state.directory, kept));
    answer = "ERR_TPM_AUTHORIZATION";
    const { daemon } = start();
    for (let count = 0; count < 10; count++) {
      await becomes("resting");
      await eventually(() => expect(doings.at(-1)?.trouble?.code).toBe("ERR_TPM_AUTHORIZATION"));
      clock.pass(10 * minute);
    }
    expect(errands.map(({ work }) => work)).toEqual([{ do: "mend-hub-key" }]);
    daemon.notice("reload");
    await attempts(2);
  });
});

describe("what was not published", () => {
  const blocked = (): string => join(directory, "hub.env");

  it("is told, tried again after a while, and never takes the others along", async () => {
    configure({ outputs: '[{ path = "hub.env" }, { path = "second.json", format = "json" }]' });
    mkdirSync(blocked());
    await settled();
    expect(doings.at(-1)?.trouble?.code).toBe("ERR_OUTPUT");
    expect(existsSync(join(directory, "second.json"))).toBe(true);
    rmSync(blocked(), { recursive: true });
    clock.pass(10 * minute);
    await eventually(() => expect(doings.at(-1)?.trouble).toBeUndefined());
    expect(readFileSync(output(), "utf8")).toContain("hub-1.example");
    expect(errands).toHaveLength(1);
  });

  it("to systemd, is told and tried again, too", async () => {
    configure({ more: '[daemon]\ncontrol_socket = "run/control.sock"' });
    const assigned = join(directory, "run/agent/assigned");
    mkdirSync(assigned, { recursive: true });
    await settled();
    expect(doings.at(-1)?.trouble).toMatchObject({ code: "ERR_OUTPUT", details: { path: assigned } });
    expect(readFileSync(output(), "utf8")).toContain("hub-1.example");
    rmSync(assigned, { recursive: true });
    clock.pass(10 * minute);
    await eventually(() => expect(doings.at(-1)?.trouble).toBeUndefined());
    expect(readFileSync(assigned, "utf8")).toContain("hub-1.example");
    expect(errands).toHaveLength(1);
  });

  it("is not what keeps programs from an assignment that systemd could not be told of", async () => {
    configure({ more: '[daemon]\ncontrol_socket = "run/control.sock"', outputs: "[]" });
    mkdirSync(join(directory, "run/agent/assigned"), { recursive: true });
    const { daemon } = await settled();
    expect(doings.at(-1)?.trouble?.code).toBe("ERR_OUTPUT");
    const current = loadCurrent(join(directory, "state"), { log });
    expect(current && daemon.isPublished(current)).toBe(true);
  });

  it("because the work died behind the flip, is published by the daemon itself", async () => {
    const { daemon } = await settled();
    dieAfterPromotion = true;
    await expect(daemon.ask("operator")).rejects.toMatchObject({ code: "ERR_INTERNAL" });
    await eventually(() => expect(readFileSync(output(), "utf8")).toContain("hub-2.example"));
    await becomes("resting");
  });

  it("because the state could not be read at first, is published when it can", async () => {
    await settled();
    stop.abort(new MooringError("ERR_CANCELLED", "off"));
    stop = new AbortController();
    rmSync(output());
    const generations = join(directory, "state/generations");
    renameSync(generations, `${generations}.away`);
    symlinkSync("generations", generations);
    start();
    await becomes("stopped");
    expect(log.named("warn")).toContain("state.unreadable");
    expect(log.named("warn")).not.toContain("identity.unreadable");
    rmSync(generations);
    renameSync(`${generations}.away`, generations);
    clock.pass(10 * minute);
    await becomes("resting");
    expect(readFileSync(output(), "utf8")).toContain("hub-1.example");
  });
});

describe("people", () => {
  it("who ask while an attempt fails are answered by it, and it is not repeated at once", async () => {
    const { daemon } = await settled();
    answer = "hang";
    daemon.ask("operator").catch(() => {});
    await attempts(2);
    const second = daemon.ask("operator");
    const third = daemon.ask("start");
    answer = "ERR_CONNECT";
    letGo.abort(new MooringError("ERR_NOT_ENROLLED", "at last"));
    await expect(second).rejects.toMatchObject({ code: "ERR_NOT_ENROLLED" });
    await expect(third).rejects.toMatchObject({ code: "ERR_NOT_ENROLLED" });
    await becomes("waiting");
    expect(errands).toHaveLength(2);
  });

  it("who asked get what they asked for under the configuration that came meanwhile", async () => {
    const { daemon } = await settled();
    answer = "hang";
    const asked = daemon.ask("operator");
    await attempts(2);
    configure({ idScope: "0ne0000BBBB" });
    answer = "assign";
    daemon.notice("reload");
    expect((await asked).assignment.idScope).toBe("0ne0000BBBB");
    expect(errands).toHaveLength(3);
  });

  it("get their way back whatever is reloaded meanwhile", async () => {
    const { daemon } = await settled();
    answer = "hang";
    const asked = daemon.ask("roll-back");
    await attempts(2);
    daemon.notice("reload");
    await new Promise(setImmediate);
    letGo.abort(new MooringError("ERR_NO_PREVIOUS", "at last"));
    await expect(asked).rejects.toMatchObject({ code: "ERR_NO_PREVIOUS" });
  });

  it("who ask for a start again and again are held back by the budget, and an operator is not", async () => {
    answer = "ERR_NOT_ENROLLED";
    const { daemon } = start();
    await becomes("waiting");
    for (let left = fullBudget - 1; left > 0; left--)
      await expect(daemon.ask("start")).rejects.toMatchObject({ code: "ERR_NOT_ENROLLED" });
    await expect(daemon.ask("start")).rejects.toMatchObject({ code: "ERR_TOO_MANY_ATTEMPTS" });
    expect(errands).toHaveLength(fullBudget);
    answer = "assign";
    await daemon.ask("operator");
  });

  it("who ask together share one attempt", async () => {
    const { daemon } = await settled();
    const [one, two] = await Promise.all([daemon.ask("operator"), daemon.ask("operator")]);
    expect(one).toBe(two);
    expect(errands).toHaveLength(2);
  });

  it("do not wait for the pause after a failure", async () => {
    answer = "ERR_CONNECT";
    const { daemon } = start();
    await becomes("waiting");
    answer = "assign";
    await daemon.ask("operator");
    expect(errands.at(-1)?.work).toMatchObject({ reason: { trigger: "operator" } });
  });

  it("who ask for a start are told what is kept", async () => {
    const { daemon } = await settled();
    expect(await daemon.ask("start")).toMatchObject({ assignment: { assignedHub: "hub-1.example" } });
    expect(errands).toHaveLength(1);
  });

  it("get the failure that came of it, and the daemon goes on", async () => {
    const { daemon } = await settled();
    answer = "ERR_UNAUTHORIZED";
    await expect(daemon.ask("operator")).rejects.toMatchObject({ code: "ERR_UNAUTHORIZED" });
    await becomes("resting");
    expect(readFileSync(output(), "utf8")).toContain("hub-1.example");
  });
});

describe("a storm", () => {
  it("of SIGHUP is one reload, and asks a busy service no sooner", async () => {
    answer = "ERR_THROTTLED";
    const { daemon } = start();
    await becomes("waiting");
    const due = doings.at(-1)?.next?.at;
    for (let count = 0; count < 100; count++) daemon.notice("reload");
    await eventually(() => expect(reloads).toBe(1));
    await becomes("waiting");
    await new Promise(setImmediate);
    expect([reloads, errands.length, doings.at(-1)?.next?.at]).toEqual([1, 1, due]);
  });

  it("of SIGHUP during an attempt begins one new attempt", async () => {
    answer = "hang";
    const { daemon } = start();
    await attempts(1);
    for (let count = 0; count < 100; count++) daemon.notice("reload");
    answer = "ERR_NOT_ENROLLED";
    await becomes("waiting");
    expect(errands).toHaveLength(2);
  });

  it("does not come of a timer that ran out where nothing may be done", async () => {
    const every = '[reprovision]\nevery = "30d"\nsplay = "0s"';
    configure({ more: every });
    await settled();
    answer = "ERR_KEY_MISMATCH";
    clock.pass(31 * 24 * 60 * minute);
    await becomes("stopped");
    const before = doings.length;
    clock.pass(minute);
    await new Promise((resolve) => setImmediate(resolve));
    expect(doings).toHaveLength(before);
    expect(doings.at(-1)).not.toHaveProperty("next");
  });

  it("does not come of a refusal to withdraw", async () => {
    configure({ more: '[reprovision]\non_disenrolled = "withdraw"' });
    const { daemon } = await settled();
    answer = "ERR_DISABLED";
    const other = new DatabaseSync(join(directory, "state/lock"), { timeout: 0 });
    other.exec("BEGIN EXCLUSIVE");
    await expect(daemon.ask("operator")).rejects.toMatchObject({ code: "ERR_DISABLED" });
    await eventually(() => expect(doings.at(-1)?.trouble?.code).toBe("ERR_LOCKED"));
    expect(existsSync(output())).toBe(true);
    other.close();
    clock.pass(minute);
    await eventually(() => expect(existsSync(output())).toBe(false));
  });

  it("does not come of a refusal that is older than the assignment", async () => {
    configure({ more: '[reprovision]\non_disenrolled = "withdraw"' });
    const { daemon } = await settled();
    answer = "ERR_DISABLED";
    await expect(daemon.ask("operator")).rejects.toMatchObject({ code: "ERR_DISABLED" });
    await eventually(() => expect(existsSync(output())).toBe(false));
    clock.pass(minute);
    // Enabled again; and the power goes before the end of the attempt is written down.
    answer = "assign";
    dieAfterPromotion = true;
    await expect(daemon.ask("operator")).rejects.toMatchObject({ code: "ERR_INTERNAL" });
    await becomes("resting");
    expect(readFileSync(output(), "utf8")).toContain("hub-3.example");
  });
});

describe("the clock", () => {
  it("that cannot be right is waited for, and nothing is tried before", async () => {
    clock.setWall(0);
    start();
    await becomes("waiting");
    expect(doings.at(-1)?.outlook?.decision).toMatchObject({
      act: "wait",
      because: expect.stringContaining("clock"),
    });
    clock.pass(30_000);
    expect(errands).toHaveLength(0);
    clock.setWall(Date.UTC(2027, 0, 1));
    clock.pass(5_000);
    await becomes("resting");
  });

  it("that was years ahead makes what failed over it worth another try when it is set, and nothing else", async () => {
    answer = "ERR_CERTIFICATE_EXPIRED";
    const { daemon } = start();
    await becomes("stopped");
    answer = "ERR_KEY_MISMATCH";
    daemon.notice("clock-stepped");
    await attempts(2);
    await becomes("stopped");
    daemon.notice("clock-stepped");
    answer = "assign";
    daemon.notice("identity-changed");
    await becomes("resting");
    expect(errands).toHaveLength(3);
  });

  it("that is never set delays the attempt, and does not prevent it", async () => {
    clock.setWall(0);
    start();
    await becomes("waiting");
    await eventually(() => expect(clock.sleepers()).not.toEqual([]));
    for (let waited = 0; waited < 400 && errands.length === 0; waited++) {
      clock.pass(1_000);
      await new Promise(setImmediate);
    }
    await attempts(1);
    expect(clock.monotonic()).toBeGreaterThanOrEqual(5 * minute);
  });

  it("that is never set delays the attempt no longer for what happens meanwhile", async () => {
    clock.setWall(0);
    const { daemon } = start();
    for (let waited = 0; waited < 30 && errands.length === 0; waited++) {
      await becomes("waiting");
      await eventually(() => expect(clock.sleepers()).not.toEqual([]));
      for (let second = 0; second < 30; second++) {
        clock.pass(1_000);
        await new Promise(setImmediate);
      }
      if (errands.length === 0) daemon.notice("identity-changed");
    }
    await attempts(1);
    expect(clock.monotonic()).toBeGreaterThanOrEqual(5 * minute);
    expect(clock.monotonic()).toBeLessThan(7 * minute);
  });
});

describe("the end", () => {
  it("comes when there was nothing to do for as long as idle_exit", async () => {
    configure({ more: '[daemon]\nidle_exit = "2min"' });
    const { ended } = await settled();
    inUse = true;
    clock.pass(2 * minute);
    await eventually(() => expect(clock.sleepers()).not.toEqual([]));
    inUse = false;
    clock.pass(2 * minute);
    await ended;
  });

  it("comes no sooner for an idle_exit that is longer than a daemon sleeps", async () => {
    configure({ more: '[daemon]\nidle_exit = "24h"' });
    const { ended } = await settled();
    let isOver = false;
    void ended.then(() => {
      isOver = true;
    });
    for (let slept = 0; slept < 24; slept++) {
      await eventually(() => expect(clock.sleepers()).not.toEqual([]));
      expect(isOver).toBe(false);
      clock.pass(60 * minute);
      await new Promise(setImmediate);
    }
    await ended;
  });

  it("does not come while something is due", async () => {
    configure({ more: '[daemon]\nidle_exit = "2min"' });
    answer = "ERR_NOT_ENROLLED";
    start();
    await sleepOut();
    await attempts(2);
    await sleepOut();
    await attempts(3);
  });

  it("comes at once when it is told to stop, whatever is under way", async () => {
    answer = "hang";
    const { ended } = start();
    await attempts(1);
    const reason = new MooringError("ERR_CANCELLED", "SIGTERM");
    stop.abort(reason);
    await expect(ended).rejects.toBe(reason);
  });
});

describe("what others do meanwhile", () => {
  const blocked = (): void => {
    rmSync(output(), { force: true });
    mkdirSync(join(output(), "in the way"), { recursive: true });
  };

  it("an assignment that another process made current is published at once", async () => {
    const { daemon } = await settled();
    const { config } = daemon;
    const assignment = await assignmentFor(config, "elsewhere.example");
    const generation = promote(config.state.directory, stage(config.state.directory, { assignment }));
    await eventually(() => expect(daemon.isPublished(generation)).toBe(true));
    expect(readFileSync(output(), "utf8")).toContain("elsewhere.example");
    expect(errands).toHaveLength(1);
  });

  it("an output that could not be written is, in the end, although the identity is gone", async () => {
    await settled();
    stop.abort(new MooringError("ERR_CANCELLED", "off"));
    stop = new AbortController();
    blocked();
    rmSync(keyFile());
    const { daemon } = start();
    await becomes("stopped");
    rmSync(output(), { recursive: true });
    clock.pass(10 * minute);
    await eventually(() => expect(readFileSync(output(), "utf8")).toContain("hub-1.example"));
    const current = loadCurrent(daemon.config.state.directory, { log });
    await eventually(() => expect(current && daemon.isPublished(current)).toBe(true));
  });

  it("an output that stays broken takes nothing from the one that can be read", async () => {
    mkdirSync(join(directory, "more.env/in the way"), { recursive: true });
    configure({ outputs: '[{ path = "hub.env" }, { path = "more.env", on_change = ["true"] }]' });
    const { daemon } = start();
    await attempts(1);
    await eventually(() => expect(doings.at(-1)?.trouble?.code).toBe("ERR_OUTPUT"));
    const current = loadCurrent(daemon.config.state.directory, { log });
    expect(current && daemon.isPublished(current)).toBe(true);
    const said: boolean[] = [];
    look = () => void said.push(current !== undefined && daemon.isPublished(current));
    clock.pass(10 * minute);
    await eventually(() => expect(said.length).toBeGreaterThan(1));
    expect(said).not.toContain(false);
  });

  it("a command hears that the hub key could not be put in its place", async () => {
    const { daemon } = await settled();
    const { directory: state } = daemon.config.state;
    const hubKey = { handle: 0x81000100, name: "00" };
    const assignment = { ...(await assignmentFor(daemon.config, "tpm.example")), hubKey };
    answer = "ERR_TPM_AUTHORIZATION";
    promote(state, stage(state, { assignment, hubKey: new Uint8Array([1]) }));
    await expect(daemon.ask("start")).rejects.toMatchObject({ code: "ERR_TPM_AUTHORIZATION" });
  });
});
