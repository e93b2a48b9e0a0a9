import { execFileSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { describe, expect, it, vi } from "vitest";
import { runCommand } from "../../src/assignment/on-change.ts";
import { type OutputFile, type OutputResult, publishOutputs } from "../../src/assignment/outputs.ts";
import { owedCommands } from "../../src/assignment/owed.ts";
import { silentLog } from "../../src/system/log.ts";
import { anAssignment } from "../support/assignments.ts";
import { recordingLog } from "../support/recording-log.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";
import { thrownBy } from "../support/thrown.ts";

const isRoot = process.geteuid?.() === 0;
const never = new AbortController().signal;

const env = (path: string, change: Partial<OutputFile> = {}): OutputFile => ({
  path,
  format: "env",
  mode: 0o640,
  ...change,
});
/** Each time as after a start: what is still owed is known from the disk alone. */
const publish = (
  outputs: OutputFile[],
  assignment = anAssignment(),
  stateDirectory = temporaryDirectory(),
): Promise<OutputResult[]> =>
  publishOutputs(outputs, assignment, {
    log: silentLog,
    signal: never,
    owed: owedCommands(stateDirectory, { log: silentLog }),
  });
const statuses = async (outputs: OutputFile[], assignment = anAssignment()): Promise<string[]> =>
  (await publish(outputs, assignment)).map(({ status }) => status);

describe("publishOutputs", () => {
  it("writes every format, with its mode, into directories that it makes", async () => {
    const directory = temporaryDirectory();
    const template = join(directory, "hub.in");
    writeFileSync(template, "{{ assigned_hub }}\n");
    const at = (name: string): string => join(directory, "run/gateway", name);
    expect(
      await statuses([
        env(at("hub.env")),
        env(at("hub.json"), { format: "json", mode: 0o644 }),
        env(at("hub.toml"), { format: "toml", mode: 0o600 }),
        env(at("hub.conf"), { format: "template", template, mode: 0o400 }),
      ]),
    ).toEqual(["written", "written", "written", "written"]);
    expect(readFileSync(at("hub.conf"), "utf8")).toBe("contoso.azure-devices.net\n");
    const modes = ["hub.env", "hub.json", "hub.toml", "hub.conf"].map(
      (name) => statSync(at(name)).mode & 0o7777,
    );
    expect(modes).toEqual([0o640, 0o644, 0o600, 0o400]);
  });

  it("does not touch a file that is right already", async () => {
    const path = join(temporaryDirectory(), "hub.env");
    expect(await statuses([env(path)])).toEqual(["written"]);
    const before = statSync(path, { bigint: true });
    expect(await statuses([env(path)])).toEqual(["unchanged"]);
    const after = statSync(path, { bigint: true });
    expect([after.ino, after.mtimeNs, after.ctimeNs]).toEqual([before.ino, before.mtimeNs, before.ctimeNs]);
    expect(await statuses([env(path)], anAssignment({ assignedHub: "other.azure-devices.net" }))).toEqual([
      "written",
    ]);
    expect(statSync(path, { bigint: true }).ino).not.toBe(before.ino);
  });

  it("repairs a mode that has drifted, without writing the file again", async () => {
    const path = join(temporaryDirectory(), "hub.env");
    await publish([env(path)]);
    const before = statSync(path, { bigint: true });
    expect(await statuses([env(path, { mode: 0o600 })])).toEqual(["repaired"]);
    const after = statSync(path, { bigint: true });
    expect([after.ino, after.mtimeNs]).toEqual([before.ino, before.mtimeNs]);
    expect(Number(after.mode) & 0o7777).toBe(0o600);
  });

  it.runIf(isRoot)("gives files to their owner and group, by name or number, and repairs them", async () => {
    const path = join(temporaryDirectory(), "hub.env");
    expect(await statuses([env(path, { owner: "nobody", group: "4321" })])).toEqual(["written"]);
    expect(statSync(path)).toMatchObject({ uid: 65534, gid: 4321 });
    expect(await statuses([env(path, { owner: "nobody", group: "4321" })])).toEqual(["unchanged"]);
    expect(await statuses([env(path, { owner: "root", group: "4321" })])).toEqual(["repaired"]);
    expect(statSync(path)).toMatchObject({ uid: 0, gid: 4321 });
  });

  it.runIf(isRoot)("says what to do where nobody may give files away", async () => {
    const path = join(temporaryDirectory(), "hub.env");
    const program = `import { publishOutputs } from "${import.meta.resolve("../../src/assignment/outputs.ts")}";
      const output = ${JSON.stringify(env(path, { group: "4321" }))};
      const tools = { log: { warn() {}, debug() {} }, signal: new AbortController().signal, owed: {} };
      const [result] = await publishOutputs([output], ${JSON.stringify(anAssignment())}, tools);
      console.log(result.error.code, result.error.hint);`;
    const without = ["--bounding-set=-chown", "--inh-caps=-chown"];
    const command = [...without, process.execPath, "--input-type=module", "--eval", program];
    const said = execFileSync("setpriv", command, { encoding: "utf8" });
    expect(said).toMatch(/^ERR_OUTPUT let it set owner and group: .*group\.conf\.example/);
    expect(existsSync(path)).toBe(false);
  });

  it("goes on when an output fails, and says which and why", async () => {
    const directory = temporaryDirectory();
    const at = (name: string): string => join(directory, name);
    symlinkSync("/nowhere", at("link"));
    mkdirSync(at("folder"));
    writeFileSync(at("file"), "");
    writeFileSync(at("bad.in"), "{{ nonsense }}");
    const log = recordingLog();
    const results = await publishOutputs(
      [
        env(at("a"), { owner: "no-such-user" }),
        env(at("a"), { group: "no-such-group" }),
        env(at("link")),
        env(at("folder")),
        env(at("file/below")),
        env(at("a"), { format: "template", template: at("missing.in") }),
        env(at("a"), { format: "template", template: at("bad.in") }),
        env(at("fine")),
      ],
      anAssignment(),
      { log, signal: never, owed: owedCommands(directory, { log }) },
    );
    expect(results.map(({ status }) => status)).toEqual([...Array(7).fill("failed"), "written"]);
    const messages = [
      "there is no user no-such-user",
      "there is no group no-such-group",
      "symbolic link",
      "no regular file",
      "create the directory",
      "missing.in",
      "{{ nonsense }}",
    ];
    for (const [index, message] of messages.entries()) {
      expect(results[index]?.error).toMatchObject({
        code: "ERR_OUTPUT",
        message: expect.stringContaining(message),
      });
    }
    expect(log.named("warn")).toEqual(Array(7).fill("output.failed"));
    expect(readlinkSync(at("link"))).toBe("/nowhere");
    expect(existsSync(at("a"))).toBe(false);
  });
});

describe("on_change", () => {
  it("runs after a change, without a shell, and knows the assignment", async () => {
    const directory = temporaryDirectory();
    const told = join(directory, "told");
    const script = 'printf "%s|%s|%s" "$IOTHUB_HOSTNAME" "$1" "$NOTIFY_SOCKET" > "$0"';
    const output = env(join(directory, "hub.env"), { onChange: ["sh", "-c", script, told, "$(id) 'x'"] });
    process.env["NOTIFY_SOCKET"] = "/run/notify";
    expect(await statuses([output])).toEqual(["written"]);
    delete process.env["NOTIFY_SOCKET"];
    expect(readFileSync(told, "utf8")).toBe("contoso.azure-devices.net|$(id) 'x'|");
  });

  it.each([
    ["is longer than Linux lets a variable be", "x".repeat(131_072 - "DPS_PAYLOAD=".length)],
    ["holds a zero byte", "a\0b"],
  ])("runs without a payload that %s", async (_what, payload) => {
    const directory = temporaryDirectory();
    const told = join(directory, "told");
    const script = 'printf "%s|%s" "$IOTHUB_HOSTNAME" "$(printenv DPS_PAYLOAD || echo none)" > "$0"';
    const output = env(join(directory, "hub.json"), { format: "json", onChange: ["sh", "-c", script, told] });
    expect(await publish([output], anAssignment({ payload }))).toEqual([
      { path: output.path, status: "written" },
    ]);
    expect(readFileSync(told, "utf8")).toBe("contoso.azure-devices.net|none");
  });

  it("is given a payload that is as long as Linux lets a variable be", async () => {
    const directory = temporaryDirectory();
    const told = join(directory, "told");
    const payload = "x".repeat(131_071 - "DPS_PAYLOAD=".length);
    const onChange = ["sh", "-c", 'printf "%s" "$DPS_PAYLOAD" > "$0"', told];
    await publish(
      [env(join(directory, "hub.json"), { format: "json", onChange })],
      anAssignment({ payload }),
    );
    expect(readFileSync(told, "utf8")).toBe(payload);
  });

  it("does not run when nothing changed, or only the mode", async () => {
    const directory = temporaryDirectory();
    const count = join(directory, "count");
    const output = env(join(directory, "hub.env"), { onChange: ["sh", "-c", 'echo x >> "$0"', count] });
    await publish([output]);
    await publish([output]);
    await publish([{ ...output, mode: 0o600 }]);
    expect(readFileSync(count, "utf8")).toBe("x\n");
  });

  it("that fails is told with its last words, and the file stays", async () => {
    const path = join(temporaryDirectory(), "hub.env");
    const [result] = await publish([
      env(path, { onChange: ["sh", "-c", "echo first >&2; echo 'no such unit' >&2; exit 5"] }),
    ]);
    expect(result).toMatchObject({ status: "written", error: { code: "ERR_OUTPUT" } });
    expect(result?.error?.message).toMatch(/on_change sh ended with 5: no such unit$/);
    expect(existsSync(path)).toBe(true);
  });

  it("runs again, after a start as well, until it has ended well", async () => {
    const [directory, state] = [temporaryDirectory(), temporaryDirectory()];
    const [count, mayEnd] = [join(directory, "count"), join(directory, "may-end")];
    const script = 'echo "$IOTHUB_HOSTNAME" >> "$0"; test -e "$1"';
    const output = env(join(directory, "hub.env"), { onChange: ["sh", "-c", script, count, mayEnd] });
    const other = env(join(directory, "other.env"), { onChange: ["false"] });
    const results = async (): Promise<unknown[]> =>
      (await publish([output, other], anAssignment(), state)).map(({ status, error }) => [
        status,
        error?.code,
      ]);

    const failing = ["unchanged", "ERR_OUTPUT"];
    expect(await results()).toEqual([
      ["written", "ERR_OUTPUT"],
      ["written", "ERR_OUTPUT"],
    ]);
    expect(await results()).toEqual([failing, failing]);
    writeFileSync(mayEnd, "");
    expect(await results()).toEqual([["unchanged", undefined], failing]);
    expect(await results()).toEqual([["unchanged", undefined], failing]);
    expect(readFileSync(count, "utf8")).toBe("contoso.azure-devices.net\n".repeat(3));
    expect(readdirSync(state)).toEqual(["owed-commands.json"]);
  });

  it("leaves nothing behind when all have ended well", async () => {
    const [directory, state] = [temporaryDirectory(), temporaryDirectory()];
    await publish([env(join(directory, "hub.env"), { onChange: ["true"] })], anAssignment(), state);
    expect(readdirSync(state)).toEqual([]);
  });

  it("runs although the disk has no room to note that it has to", async () => {
    const directory = temporaryDirectory();
    const output = env(join(directory, "hub.env"), { onChange: ["touch", join(directory, "told")] });
    const [result] = await publish([output], anAssignment(), join(directory, "not-there"));
    expect(result).toEqual({ path: output.path, status: "written" });
    expect(existsSync(join(directory, "told"))).toBe(true);
  });

  it("that does not exist is told", async () => {
    const path = join(temporaryDirectory(), "hub.env");
    const [result] = await publish([env(path, { onChange: ["/no/such/program"] })]);
    expect(result?.error?.message).toMatch(/cannot start: .*ENOENT/);
  });

  /** A command that starts another process, notes its number, and then waits for ever. */
  const stubborn = (file: string): string[] => ["sh", "-c", 'sleep 1000 & echo $! > "$0"; wait', file];
  const isGone = (file: string): boolean => {
    const stat = `/proc/${readFileSync(file, "utf8").trim()}/stat`;
    // A process that was killed may wait for somebody to ask how it ended.
    return !existsSync(stat) || / Z /.test(readFileSync(stat, "utf8"));
  };

  it("that takes too long is killed with all that it started", async () => {
    const file = join(temporaryDirectory(), "pid");
    const error = await thrownBy(() => runCommand(stubborn(file), { env: {}, signal: never, limitMs: 300 }));
    expect(error).toMatchObject({
      code: "ERR_OUTPUT",
      message: expect.stringContaining("took longer than 0.3 s"),
    });
    await expect.poll(() => isGone(file)).toBe(true);
  });

  it("that has become another user, whose processes are not ours to kill, is told of and harms nobody", async () => {
    const file = join(temporaryDirectory(), "pid");
    const notPermitted = Object.assign(new Error("kill EPERM"), { code: "EPERM" });
    const kill = vi.spyOn(process, "kill").mockImplementation(() => {
      throw notPermitted;
    });
    const error = await thrownBy(() => runCommand(stubborn(file), { env: {}, signal: never, limitMs: 300 }));
    const [group = 0] = kill.mock.calls[0] ?? [];
    kill.mockRestore();
    process.kill(group, "SIGKILL");
    expect(error.message).toContain("could not be stopped");
  });

  it("is killed when the whole is cancelled", async () => {
    const file = join(temporaryDirectory(), "pid");
    const stop = new AbortController();
    const running = runCommand(stubborn(file), { env: {}, signal: stop.signal });
    await expect.poll(() => existsSync(file) && readFileSync(file, "utf8").endsWith("\n")).toBe(true);
    stop.abort(new Error("enough"));
    await expect(running).rejects.toThrow("enough");
    await expect.poll(() => isGone(file)).toBe(true);
  });

  it("does not wait for a daemon that the command left behind", async () => {
    const file = join(temporaryDirectory(), "pid");
    await runCommand(["sh", "-c", 'setsid sleep 1000 & echo $! > "$0"', file], { env: {}, signal: never });
    process.kill(Number(readFileSync(file, "utf8")), "SIGKILL");
  });
});
