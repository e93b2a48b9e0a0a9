import { execFileSync, spawnSync } from "node:child_process";
import { describe, expect, it } from "vitest";

/** What a process whose shell has set `stream` writes to its standard error for one warning and one event below the level. */
function written(stream: "" | "JOURNAL_STREAM=8:1" | "JOURNAL_STREAM=$(stat -Lc %d:%i /dev/fd/2)"): string {
  const script = `
    const { openJournal } = await import("./src/cli/journal.ts");
    const log = openJournal("info", (text) => process.stderr.write(text));
    log.debug("too.quiet");
    log.warn("output.failed", { path: "/run/x", code: "ERR_OUTPUT" });`;
  const { JOURNAL_STREAM: _none, ...inherited } = process.env;
  const env = { ...inherited, NODE_DISABLE_COMPILE_CACHE: "1" };
  const command = `exec 2>&1; ${stream} exec "$0" --input-type=module -e "$1"`;
  return execFileSync("sh", ["-c", command, process.execPath, script], { env, encoding: "utf8" });
}

it("has a failure as errors, line by line", () => {
  const command = `exec 2>&1; JOURNAL_STREAM=$(stat -Lc %d:%i /dev/fd/2) exec "$0" src/main.ts "$@"`;
  const args = ["provision", "--config", "/nonexistent/config.toml", "--verbose"];
  const ended = spawnSync("sh", ["-c", command, process.execPath, ...args], { encoding: "utf8" });
  const lines = ended.stdout.trimEnd().split("\n");
  expect(ended.status).toBe(78);
  expect(lines[0]).toMatch(/^<3>mooring: ERR_CONFIG_NOT_FOUND/);
  expect(lines.filter((line) => !line.startsWith("<3>"))).toEqual([]);
});

describe("the journal", () => {
  it("gets one line an event, with the priority that journald reads, and without a time", () => {
    const line = written("JOURNAL_STREAM=$(stat -Lc %d:%i /dev/fd/2)");
    expect(line).toBe('<4>{"level":"warn","event":"output.failed","path":"/run/x","code":"ERR_OUTPUT"}\n');
  });

  it.each([
    ["elsewhere", ""],
    ["in a file, below a unit that has the journal", "JOURNAL_STREAM=8:1"],
  ] as const)("%s carries the time and no priority", (_, stream) => {
    const event = JSON.parse(written(stream));
    expect(event).toMatchObject({
      level: "warn",
      event: "output.failed",
      time: expect.stringMatching(/^\d{4}-.*Z$/),
    });
  });
});
