import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { Assignment } from "../../src/assignment/assignment.ts";
import { encodeAssignment } from "../../src/assignment/assignment.ts";
import {
  discard,
  forgetPersistedHubKeys,
  type Generation,
  goodGenerations,
  isHubKeyPersisted,
  loadCurrent,
  makeCurrent,
  markHubKeyPersisted,
  prepareState,
  previousGeneration,
  promote,
  stage,
  verifyStaged,
  wasDamaged,
} from "../../src/assignment/generations.ts";
import { lockState } from "../../src/assignment/lock.ts";
import { setAside } from "../../src/assignment/quarantine.ts";
import { silentLog } from "../../src/system/log.ts";
import { anAssignment } from "../support/assignments.ts";
import { finished, nodeCommand, source, started } from "../support/children.ts";
import { faultInjector } from "../support/fault-injector.ts";
import { recordingLog } from "../support/recording-log.ts";
import { changesIn } from "../support/system-calls.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";
import { thrownBy } from "../support/thrown.ts";

const isRoot = process.geteuid?.() === 0;

/** A state directory with one promoted generation for each device id. */
function stateWith(...deviceIds: string[]): string {
  const state = join(temporaryDirectory(), "state");
  prepareState(state);
  for (const deviceId of deviceIds) putAway(state, { deviceId });
  return state;
}

function putAway(state: string, change: Partial<Assignment>, hubKey?: Buffer): Generation {
  const staged = stage(state, { assignment: anAssignment(change), ...(hubKey && { hubKey }) });
  verifyStaged(staged);
  return promote(state, staged);
}

const currentDevice = (state: string): string | undefined =>
  loadCurrent(state, { log: silentLog })?.assignment.deviceId;
const generations = (state: string): string[] => readdirSync(join(state, "generations")).sort();
const quarantined = (state: string): string[] =>
  existsSync(join(state, "quarantine")) ? readdirSync(join(state, "quarantine")) : [];
const assignmentFile = (state: string, name = "current"): string =>
  join(state, name === "current" ? name : join("generations", name), "assignment.json");

describe("a state directory", () => {
  it("is made for its owner and group, its generations for the owner alone, whatever the umask is", () => {
    const state = join(temporaryDirectory(), "deep", "state");
    const umask = process.umask(0o077);
    prepareState(state);
    process.umask(umask);
    expect(statSync(state).mode & 0o7777).toBe(0o711);
    expect(statSync(join(state, "generations")).mode & 0o7777).toBe(0o700);
  });

  it("that is there keeps the mode that it has", () => {
    const state = temporaryDirectory();
    chmodSync(state, 0o711);
    prepareState(state);
    expect(statSync(state).mode & 0o7777).toBe(0o711);
  });

  it("has no assignment before the first, nor when it does not exist", () => {
    expect(currentDevice(stateWith())).toBeUndefined();
    expect(currentDevice(join(temporaryDirectory(), "missing"))).toBeUndefined();
  });

  it("that cannot be made is ERR_STATE_DIRECTORY", async () => {
    const file = join(temporaryDirectory(), "file");
    writeFileSync(file, "");
    expect((await thrownBy(() => prepareState(join(file, "state")))).code).toBe("ERR_STATE_DIRECTORY");
    expect((await thrownBy(() => prepareState(file))).code).toBe("ERR_STATE_DIRECTORY");
  });
});

describe("generations", () => {
  it("become current by promotion, with their hub key beside them and closed to others", () => {
    const state = stateWith();
    const hubKey = Buffer.from("wrapped key");
    const promoted = putAway(state, { deviceId: "a", hubKey: { handle: 0x81000100, name: "000b" } }, hubKey);
    expect(promoted).toMatchObject({ number: 1, directory: join(state, "generations", "000001"), hubKey });
    expect(loadCurrent(state, { log: silentLog })).toEqual(promoted);
    expect(readlinkSync(join(state, "current"))).toBe("generations/000001");
    for (const name of ["assignment.json", "hub-key.tpm"]) {
      expect(statSync(join(state, "current", name)).mode & 0o7777).toBe(0o600);
    }
    expect(statSync(join(state, "current/.")).mode & 0o7777).toBe(0o700);
  });

  it("stay two: the current one and the one before it", () => {
    const state = stateWith("a", "b", "c", "d");
    expect(generations(state)).toEqual(["000003", "000004"]);
    expect(goodGenerations(state).map(({ assignment }) => assignment.deviceId)).toEqual(["d", "c"]);
    expect(currentDevice(state)).toBe("d");
  });

  it("that are only staged are not current, and the next staging takes their place", () => {
    const state = stateWith("a");
    stage(state, { assignment: anAssignment({ deviceId: "b" }), hubKey: Buffer.from("left over") });
    expect(currentDevice(state)).toBe("a");
    expect(putAway(state, { deviceId: "c" }).hubKey).toBeUndefined();
    expect(loadCurrent(state, { log: silentLog })).toMatchObject({
      number: 2,
      assignment: { deviceId: "c" },
    });
    expect(existsSync(join(state, "current", "hub-key.tpm"))).toBe(false);
  });

  it("that were discarded are gone", () => {
    const state = stateWith("a");
    discard(stage(state, { assignment: anAssignment() }));
    expect(generations(state)).toEqual(["000001"]);
  });

  it("remember that their hub key has reached its handle", () => {
    const state = stateWith();
    const generation = putAway(state, {}, Buffer.from("k"));
    expect(isHubKeyPersisted(generation)).toBe(false);
    markHubKeyPersisted(generation);
    expect(isHubKeyPersisted(generation)).toBe(true);
    expect(loadCurrent(state, { log: silentLog })).toEqual(generation);
  });

  it("all forget it before another key goes there", () => {
    const state = stateWith();
    const both = [putAway(state, {}, Buffer.from("j")), putAway(state, {}, Buffer.from("k"))];
    for (const generation of both) markHubKeyPersisted(generation);
    forgetPersistedHubKeys(state);
    expect(both.map(isHubKeyPersisted)).toEqual([false, false]);
    forgetPersistedHubKeys(state);
  });

  it("can be gone back to, once, and the next promotion goes on from there", () => {
    const state = stateWith("a", "b");
    const current = loadCurrent(state, { log: silentLog }) as Generation;
    const previous = previousGeneration(state, current) as Generation;
    expect(previous).toMatchObject({ number: 1, assignment: { deviceId: "a" } });
    makeCurrent(state, previous);
    expect(loadCurrent(state, { log: silentLog })).toEqual(previous);
    expect(previousGeneration(state, previous)).toBeUndefined();

    expect(putAway(state, { deviceId: "c" }).number).toBe(3);
    expect(goodGenerations(state).map(({ assignment }) => assignment.deviceId)).toEqual(["c", "a"]);
  });

  it("are not verified when the disk gives back something else", async () => {
    const state = stateWith();
    const hubKey = Buffer.from("k");
    const spoilers: ((directory: string) => void)[] = [
      (directory) => truncateSync(join(directory, "assignment.json"), 10),
      (directory) => writeFileSync(join(directory, "hub-key.tpm"), "j"),
      (directory) => rmSync(join(directory, "hub-key.tpm")),
      (directory) => rmSync(join(directory, "assignment.json")),
      (directory) =>
        writeFileSync(
          join(directory, "assignment.json"),
          encodeAssignment(anAssignment({ etag: "x" }), hubKey),
        ),
    ];
    for (const spoil of spoilers) {
      const staged = stage(state, { assignment: anAssignment(), hubKey });
      verifyStaged(staged);
      spoil(staged.directory);
      expect((await thrownBy(() => verifyStaged(staged))).code).toBe("ERR_STATE_CORRUPT");
    }
  });

  it("reach the disk before the link names them", async () => {
    const state = stateWith("a");
    const program = `
      import { promote, stage } from ${source("assignment/generations.ts")};
      promote(${JSON.stringify(state)}, stage(${JSON.stringify(state)}, {
        assignment: ${JSON.stringify(anAssignment())}, hubKey: Buffer.from("key"),
      }));`;
    const put = (name: string): string[] => [
      "create D/generations/staged/TEMP",
      "write D/generations/staged/TEMP",
      "fsync D/generations/staged/TEMP",
      `rename D/generations/staged/TEMP D/generations/staged/${name}`,
      "fsync D/generations/staged",
    ];
    expect(await changesIn(state, program)).toEqual([
      "mkdir D/generations/staged",
      ...put("hub-key.tpm"),
      ...put("assignment.json"),
      "fsync D/generations",
      "rename D/generations/staged D/generations/000002",
      "fsync D/generations",
      "symlink generations/000002 D/.current.new",
      "rename D/.current.new D/current",
      "fsync D",
    ]);
  });

  it("survive a process that is killed between staging and promotion", async () => {
    const state = stateWith("a");
    const killed = await finished(
      nodeCommand(`
        import { stage, verifyStaged } from ${source("assignment/generations.ts")};
        const staged = stage(${JSON.stringify(state)}, { assignment: ${JSON.stringify(anAssignment({ deviceId: "b" }))} });
        verifyStaged(staged);
        process.kill(process.pid, "SIGKILL");`),
    );
    expect(killed.signal).toBe("SIGKILL");
    expect(generations(state)).toEqual(["000001", "staged"]);
    expect(currentDevice(state)).toBe("a");
    putAway(state, { deviceId: "c" });
    expect(generations(state)).toEqual(["000001", "000002"]);
  });
});

describe("a damaged generation", () => {
  const damages: [name: string, damage: (state: string) => void][] = [
    ["empty", (state) => truncateSync(assignmentFile(state))],
    ["cut short", (state) => truncateSync(assignmentFile(state), 100)],
    ["full of zeros", (state) => writeFileSync(assignmentFile(state), Buffer.alloc(600))],
    [
      "altered",
      (state) =>
        writeFileSync(
          assignmentFile(state),
          readFileSync(assignmentFile(state), "utf8").replace("contoso", "c0ntoso"),
        ),
    ],
    ["without its file", (state) => rmSync(assignmentFile(state))],
    [
      "with a directory for its file",
      (state) => {
        rmSync(assignmentFile(state));
        mkdirSync(assignmentFile(state));
      },
    ],
    ["with another's hub key", (state) => writeFileSync(join(state, "current", "hub-key.tpm"), "x")],
  ];
  it.each(damages)("(%s) is set aside, and the one before takes over", (_name, damage) => {
    const state = stateWith("a", "b");
    damage(state);
    const log = recordingLog();
    expect(loadCurrent(state, { log })).toMatchObject({ number: 1, assignment: { deviceId: "a" } });
    expect(log.named("warn")).toEqual(["state.unusable", "state.quarantined", "state.fell-back"]);
    expect(readlinkSync(join(state, "current"))).toBe("generations/000001");
    expect(generations(state)).toEqual(["000001"]);
    expect(quarantined(state)).toEqual([expect.stringMatching(/^000002-/)]);

    const quiet = recordingLog();
    expect(loadCurrent(state, { log: quiet })?.number).toBe(1);
    expect(quiet.events).toEqual([]);
  });

  it("that is the only one is set aside, and there is none", () => {
    const state = stateWith("a");
    truncateSync(assignmentFile(state));
    expect(currentDevice(state)).toBeUndefined();
    expect(quarantined(state)).toHaveLength(1);
    expect(currentDevice(state)).toBeUndefined();
    expect(putAway(state, { deviceId: "b" }).number).toBe(1);
    expect(currentDevice(state)).toBe("b");
  });

  it("is repaired by whoever holds the lock already", () => {
    const state = stateWith("a", "b");
    truncateSync(assignmentFile(state));
    using _lock = lockState(state);
    expect(currentDevice(state)).toBe("a");
    expect(quarantined(state)).toHaveLength(1);
  });

  it("stays where it is while another process holds the lock, and is passed over all the same", async () => {
    const state = stateWith("a", "b");
    truncateSync(assignmentFile(state));
    await started(`
      import { lockState } from ${source("assignment/lock.ts")};
      globalThis.lock = lockState(${JSON.stringify(state)});
      console.log("held");
      setInterval(() => {}, 1000);`);
    const log = recordingLog();
    expect(loadCurrent(state, { log })?.assignment.deviceId).toBe("a");
    expect(log.named("warn")).toEqual(["state.unusable", "state.repair-postponed", "state.fell-back"]);
    expect(generations(state)).toEqual(["000001", "000002"]);
    expect(quarantined(state)).toEqual([]);

    truncateSync(assignmentFile(state, "000001"));
    const error = await thrownBy(() => loadCurrent(state, { log }));
    expect(error).toMatchObject({ code: "ERR_STATE_CORRUPT", message: expect.stringContaining("000002: ") });
  });

  it("of a newer version is passed over and stays current, for when that version comes again", () => {
    const state = stateWith("a", "b");
    const written = readFileSync(assignmentFile(state));
    writeFileSync(assignmentFile(state), '{"schemaVersion":2}');
    const log = recordingLog();
    for (let looks = 0; looks < 3; looks++)
      expect(loadCurrent(state, { log })?.assignment.deviceId).toBe("a");
    expect(log.named("warn")).toEqual(["state.unusable", "state.fell-back"]); // once
    expect(generations(state)).toEqual(["000001", "000002"]);
    expect(quarantined(state)).toEqual([]);
    writeFileSync(assignmentFile(state, "000002"), written);
    expect(currentDevice(state)).toBe("b");
  });

  it("of a newer version outlasts promotions, beside the one that was in use", () => {
    const state = stateWith("a", "b");
    writeFileSync(assignmentFile(state), '{"schemaVersion":2}');
    putAway(state, { deviceId: "c" });
    expect(currentDevice(state)).toBe("c");
    expect(generations(state)).toEqual(["000001", "000002", "000003"]);
    putAway(state, { deviceId: "d" });
    expect(generations(state)).toEqual(["000002", "000003", "000004"]);
  });

  it("that was gone back to gives way to the one that was left", () => {
    const state = stateWith("a", "b");
    const current = loadCurrent(state, { log: silentLog }) as Generation;
    makeCurrent(state, previousGeneration(state, current) as Generation);
    truncateSync(assignmentFile(state));
    expect(currentDevice(state)).toBe("b");
    expect(readlinkSync(join(state, "current"))).toBe("generations/000002");
    expect(generations(state)).toEqual(["000002"]);
  });

  it("is what a lost assignment is known by, and not any other part of the state that was set aside", () => {
    const state = stateWith("a");
    writeFileSync(join(state, "attempts.json"), "damaged");
    setAside(state, join(state, "attempts.json"));
    expect(wasDamaged(state)).toBe(false);
    truncateSync(assignmentFile(state));
    expect(currentDevice(state)).toBeUndefined();
    expect(wasDamaged(state)).toBe(true);
  });

  it.each(["dangling", "missing", "a file", "nonsense"])("is not made up by a link that is %s", (kind) => {
    const state = stateWith("a", "b");
    const link = join(state, "current");
    rmSync(link);
    if (kind === "dangling") symlinkSync("generations/000009", link);
    if (kind === "a file") writeFileSync(link, "generations/000001");
    if (kind === "nonsense") symlinkSync("../../etc", link);
    expect(currentDevice(state)).toBe("b");
    expect(readlinkSync(link)).toBe("generations/000002");
  });

  it("is told from a promotion that was cut off before its flip", () => {
    const state = stateWith("a");
    const staged = stage(state, { assignment: anAssignment({ deviceId: "b" }) });
    renameSync(staged.directory, join(state, "generations", "000002"));
    expect(currentDevice(state)).toBe("a");
    putAway(state, { deviceId: "c" });
    expect(generations(state)).toEqual(["000001", "000003"]);
  });

  it.skipIf(isRoot)("is told from one that we may not read", async () => {
    const state = stateWith("a", "b");
    chmodSync(assignmentFile(state), 0);
    expect((await thrownBy(() => loadCurrent(state, { log: silentLog }))).code).toBe("ERR_STATE_DIRECTORY");
    expect(quarantined(state)).toEqual([]);
  });

  it("is told from one that the disk does not give out just now", async () => {
    const state = stateWith("a", "b");
    const program = `
      import { loadCurrent } from ${source("assignment/generations.ts")};
      try {
        loadCurrent(${JSON.stringify(state)}, { log: console });
      } catch (error) {
        console.log(error.code);
      }`;
    const injector = faultInjector(temporaryDirectory(), [join(state, "generations/000002")]);
    const isRead = ({ name }: { name: string }): boolean => name === "read";
    await finished([...injector.under(0, "eio"), ...nodeCommand(program)]);
    const nth = injector.calls().findIndex(isRead) + 1;
    const run = await finished([...injector.under(nth, "eio"), ...nodeCommand(program)]);
    expect(run).toMatchObject({ code: 0, stdout: "ERR_STATE_DIRECTORY\n", stderr: "" });
    expect(quarantined(state)).toEqual([]);
    expect(currentDevice(state)).toBe("b");
  });
});
