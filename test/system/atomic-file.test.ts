import { execFileSync, spawnSync } from "node:child_process";
import {
  chmodSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { writeAtomic, writeAtomicPieces } from "../../src/system/atomic-file.ts";
import { finished, nodeCommand, source } from "../support/children.ts";
import { changesIn } from "../support/system-calls.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";
import { thrownBy } from "../support/thrown.ts";

const isRoot = process.geteuid?.() === 0;

let umask: number;
beforeEach(() => {
  umask = process.umask(0o077);
});
afterEach(() => {
  process.umask(umask);
});

describe("writeAtomic", () => {
  it("writes content and mode, whatever the umask is, and leaves nothing beside it", () => {
    const directory = temporaryDirectory();
    const path = join(directory, "file");
    writeAtomic(path, "first", { mode: 0o644 });
    writeAtomic(path, Buffer.from("second"), { mode: 0o604 });
    expect(readFileSync(path, "utf8")).toBe("second");
    expect(statSync(path).mode & 0o7777).toBe(0o604);
    expect(readdirSync(directory)).toEqual(["file"]);
  });

  it.runIf(isRoot)("gives the file to its owner", () => {
    const path = join(temporaryDirectory(), "file");
    writeAtomic(path, "x", { mode: 0o640, uid: 12_345 });
    expect(statSync(path)).toMatchObject({ uid: 12_345, gid: process.getegid?.() });
    writeAtomic(path, "x", { mode: 0o640, gid: 54_321 });
    expect(statSync(path)).toMatchObject({ uid: 0, gid: 54_321 });
  });

  it("replaces neither a symbolic link nor a directory", async () => {
    const directory = temporaryDirectory();
    const link = join(directory, "link");
    symlinkSync(join(directory, "elsewhere"), link);
    mkdirSync(join(directory, "folder"));
    for (const [path, what] of [
      [link, /symbolic link/],
      [join(directory, "folder"), /no regular file/],
    ] as const) {
      const error = await thrownBy(() => writeAtomic(path, "x", { mode: 0o600 }));
      expect(error).toMatchObject({ code: "ERR_STATE_DIRECTORY", message: expect.stringMatching(what) });
    }
    expect(readlinkSync(link)).toBe(join(directory, "elsewhere"));
    expect(readdirSync(directory).sort()).toEqual(["folder", "link"]);
  });

  it("sweeps what a killed process left, and leaves a running one's alone", () => {
    const directory = temporaryDirectory();
    const dead = execFileSync("sh", ["-c", "echo $$"], { encoding: "utf8" }).trim();
    const leftover = `.file.mooring-${dead}-0123456789ab`;
    const inUse = `.file.mooring-${process.ppid}-0123456789ab`;
    for (const name of [leftover, inUse, `.other.mooring-${dead}-0123456789ab`])
      writeFileSync(join(directory, name), "");
    writeAtomic(join(directory, "file"), "x", { mode: 0o600 });
    expect(readdirSync(directory).sort()).toEqual([inUse, `.other.mooring-${dead}-0123456789ab`, "file"]);
  });

  it("calls a failure what it is told to call it, and names the path", async () => {
    const path = join(temporaryDirectory(), "missing", "file");
    expect(await thrownBy(() => writeAtomic(path, "x", { mode: 0o600 }))).toMatchObject({
      code: "ERR_STATE_DIRECTORY",
    });
    const error = await thrownBy(() => writeAtomic(path, "x", { mode: 0o600, failure: "ERR_OUTPUT" }));
    expect(error).toMatchObject({ code: "ERR_OUTPUT", details: { path } });
  });

  it.skipIf(isRoot)("says so when the directory is not ours", async () => {
    const directory = temporaryDirectory();
    chmodSync(directory, 0o500);
    const error = await thrownBy(() => writeAtomic(join(directory, "file"), "x", { mode: 0o600 }));
    expect(error.code).toBe("ERR_STATE_DIRECTORY");
  });
});

// Some containers forbid namespaces; nothing else makes a full disk without being somebody's real one.
const canMount = spawnSync("unshare", ["-rm", "true"]).status === 0;

describe.runIf(canMount)("on a disk of its own", () => {
  /** Runs writeAtomic of a megabyte in a mount namespace where `directory` is a small tmpfs. */
  async function writeOnTmpfs(
    directory: string,
    prepare: string,
  ): Promise<{ code: string; names: string[]; old: string }> {
    const program = `
      import { readdirSync, readFileSync } from "node:fs";
      import { writeAtomic } from ${source("system/atomic-file.ts")};
      const path = ${JSON.stringify(join(directory, "file"))};
      let code = "none";
      try { writeAtomic(path, Buffer.alloc(1 << 20), { mode: 0o600 }); } catch (error) { code = error.code; }
      console.log(JSON.stringify({ code, names: readdirSync(${JSON.stringify(directory)}), old: readFileSync(path, "utf8").slice(0, 9) }));`;
    const script = `mount -t tmpfs -o size=64k none "$0" && printf 'old state' > "$0/file" && ${prepare} && exec "$@"`;
    const run = await finished(["unshare", "-rm", "sh", "-c", script, directory, ...nodeCommand(program)]);
    expect(run.stderr).toBe("");
    return JSON.parse(run.stdout);
  }

  it("a full one is ERR_STATE_FULL, and the old file stays", async () => {
    expect(await writeOnTmpfs(temporaryDirectory(), "true")).toEqual({
      code: "ERR_STATE_FULL",
      names: ["file"],
      old: "old state",
    });
  });

  it("a read-only one is ERR_STATE_DIRECTORY, and the old file stays", async () => {
    expect(await writeOnTmpfs(temporaryDirectory(), 'mount -o remount,bind,ro "$0"')).toEqual({
      code: "ERR_STATE_DIRECTORY",
      names: ["file"],
      old: "old state",
    });
  });
});

describe("the order of system calls", () => {
  const durable = ["create D/TEMP", "write D/TEMP", "fsync D/TEMP", "rename D/TEMP D/file", "fsync D"];

  it("is write, fsync, rename, fsync of the directory", async () => {
    const directory = temporaryDirectory();
    const path = JSON.stringify(join(directory, "file"));
    const program = `import { writeAtomic } from ${source("system/atomic-file.ts")};
      writeAtomic(${path}, "content", { mode: 0o600 });`;
    expect(await changesIn(directory, program)).toEqual(durable);
  });

  it("is the same for a content that comes in pieces", async () => {
    const directory = temporaryDirectory();
    const program = `import { writeAtomicPieces } from ${source("system/atomic-file.ts")};
      await writeAtomicPieces(${JSON.stringify(join(directory, "file"))}, ["one"], { mode: 0o600 });`;
    expect(await changesIn(directory, program)).toEqual(durable);
  });

  it("would be seen to be wrong", async () => {
    const directory = temporaryDirectory();
    const temporary = JSON.stringify(join(directory, ".file.mooring-1-0"));
    const program = `import fs from "node:fs";
      fs.writeFileSync(${temporary}, "content");
      fs.renameSync(${temporary}, ${JSON.stringify(join(directory, "file"))});`;
    expect(await changesIn(directory, program)).toEqual(durable.filter((call) => !call.startsWith("fsync")));
  });
});

describe("a content that comes in pieces", () => {
  async function* pieces(...texts: (string | Error)[]): AsyncGenerator<string> {
    for (const text of texts) {
      if (text instanceof Error) throw text;
      yield text;
    }
  }

  it("is written whole, with its mode from the start", async () => {
    const path = join(temporaryDirectory(), "file");
    await writeAtomicPieces(path, pieces("one ", "two"), { mode: 0o640 });
    expect(readFileSync(path, "utf8")).toBe("one two");
    expect(statSync(path).mode & 0o777).toBe(0o640);
  });

  it("leaves the old file, and nothing else, when it does not come to its end", async () => {
    const directory = temporaryDirectory();
    const path = join(directory, "file");
    writeFileSync(path, "old");
    const cut = writeAtomicPieces(path, pieces("new", new Error("cut")), { mode: 0o600 });
    await expect(cut).rejects.toThrow("cut");
    expect(readFileSync(path, "utf8")).toBe("old");
    expect(readdirSync(directory)).toEqual(["file"]);
  });

  it("is not written through a symbolic link", async () => {
    const directory = temporaryDirectory();
    symlinkSync("/nowhere", join(directory, "file"));
    const writing = () =>
      writeAtomicPieces(join(directory, "file"), pieces("x"), { mode: 0o600, failure: "ERR_OUTPUT" });
    expect((await thrownBy(writing)).code).toBe("ERR_OUTPUT");
  });
});
