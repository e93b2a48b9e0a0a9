import { execFileSync } from "node:child_process";
import { statSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { makeDirectories } from "../../src/system/directories.ts";
import { nodeCommand, source } from "../support/children.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

describe("makeDirectories", () => {
  it("makes what is missing of a path, with its mode, and leaves what is there", () => {
    const directory = temporaryDirectory();
    makeDirectories(join(directory, "a"), { mode: 0o700 });
    makeDirectories(join(directory, "a/b/c"), { mode: 0o750 });
    makeDirectories(join(directory, "a/b/c"), { mode: 0o755 });
    const modes = ["a", "a/b", "a/b/c"].map((name) => statSync(join(directory, name)).mode & 0o7777);
    expect(modes).toEqual([0o700, 0o750, 0o750]);
  });

  it("goes by links", () => {
    const directory = temporaryDirectory();
    makeDirectories(join(directory, "real"));
    symlinkSync("real", join(directory, "link"));
    makeDirectories(join(directory, "link/a"));
    expect(statSync(join(directory, "real/a")).isDirectory()).toBe(true);
  });

  it.each([
    ["below a file", "file/below", "EEXIST"],
    ["where a file is", "file", "EEXIST"],
    ["where a link leads nowhere", "nowhere", "EEXIST"],
  ])("refuses to make one %s", (_where, name, code) => {
    const directory = temporaryDirectory();
    writeFileSync(join(directory, "file"), "");
    symlinkSync("/no/such", join(directory, "nowhere"));
    expect(() => makeDirectories(join(directory, name))).toThrow(expect.objectContaining({ code }));
  });

  // In a process of its own each, because what never ends hears nothing.
  it.each([
    ["an output", "assignment/outputs.ts", "publishOutputs([output], { assignedHub: 'a' }, tools)"],
    ["the state", "assignment/generations.ts", "prepareState('/proc/no/such')"],
    ["the data of a service", "service/data-directory.ts", "lockDataDirectory('/proc/no')"],
  ])("ends where there can be no directory: %s", (_what, file, call) => {
    const program = `import * as room from ${source(file)};
      const output = { path: "/proc/no/such.json", format: "json", mode: 0o640 };
      const tools = { log: { warn() {} }, signal: new AbortController().signal, owed: {} };
      const [result] = await (async () => room.${call})().catch((error) => [{ error }]);
      console.log(result.error.code);`;
    const [node = "", ...args] = nodeCommand(program);
    const said = execFileSync(node, args, { encoding: "utf8", timeout: 5_000, killSignal: "SIGKILL" });
    expect(said).toMatch(/^ERR_(?:OUTPUT|STATE_DIRECTORY|SERVICE_START)\n$/);
  });
});
