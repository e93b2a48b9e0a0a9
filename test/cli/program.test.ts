import { execFile } from "node:child_process";
import { describe, expect, it } from "vitest";

interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs the program from its sources. */
const mooring = (...args: string[]): Promise<Ended> =>
  new Promise((resolve) => {
    const env = { ...process.env, NODE_DISABLE_COMPILE_CACHE: "1" };
    execFile(process.execPath, ["src/main.ts", ...args], { env }, (error, stdout, stderr) =>
      resolve({ code: Number(error?.code ?? 0), stdout, stderr }),
    );
  });

describe("the command line", () => {
  it.each([
    [["frob"], "unknown command 'frob'"],
    [["provision", "--frob"], "unknown option '--frob'"],
    [["provision", "now"], "too many arguments"],
    [["service", "run"], "--data"],
  ])("refuses %j with its code, its reason and 64", async (args, words) => {
    const { code, stderr, stdout } = await mooring(...args);
    expect(code).toBe(64);
    expect(stdout).toBe("");
    expect(stderr).toContain("ERR_USAGE");
    expect(stderr).toContain(words);
    expect(stderr).toContain("next:");
  });

  it("tells scripts what is wrong as JSON", async () => {
    const { code, stdout } = await mooring("provision", "--json", "--frob");
    expect(code).toBe(64);
    expect(JSON.parse(stdout)).toMatchObject({ error: { code: "ERR_USAGE", exitCode: 64 } });
  });

  it("teaches when it is called with nothing", async () => {
    const { code, stderr } = await mooring();
    expect(code).toBe(64);
    expect(stderr).toContain("mooring demo");
  });

  it.each([["--help"], ["help"], ["provision", "--help"], ["--version"]])(
    "answers %s and is content",
    async (...args) => {
      const { code, stdout, stderr } = await mooring(...args);
      expect(code).toBe(0);
      expect(stdout).not.toBe("");
      expect(stderr).toBe("");
    },
  );

  it("shows where a failure came from only when asked", async () => {
    const quiet = await mooring("provision", "--config", "/nonexistent/config.toml");
    expect(quiet.code).toBe(78);
    expect(quiet.stderr).not.toMatch(/^\s+at /m);
    const verbose = await mooring("provision", "--config", "/nonexistent/config.toml", "--verbose");
    expect(verbose.stderr).toMatch(/^\s+at /m);
  });
});
