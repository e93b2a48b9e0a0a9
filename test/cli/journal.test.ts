import { execFileSync } from "node:child_process";
import { describe, expect, it } from "vitest";

/** What a process with `environment` writes to its standard error for one warning and one event below the level. */
function written(environment: Record<string, string>): string {
  const script = `
    const { openJournal } = await import("./src/cli/journal.ts");
    const log = openJournal("info");
    log.debug("too.quiet");
    log.warn("output.failed", { path: "/run/x", code: "ERR_OUTPUT" });`;
  const { JOURNAL_STREAM: _none, ...inherited } = process.env;
  const env = { ...inherited, ...environment, NODE_DISABLE_COMPILE_CACHE: "1" };
  return execFileSync("sh", ["-c", 'exec "$0" --input-type=module -e "$1" 2>&1', process.execPath, script], {
    env,
    encoding: "utf8",
  });
}

describe("the journal", () => {
  it("gets one line an event, with the priority that journald reads, and without a time", () => {
    const line = written({ JOURNAL_STREAM: "8:1" });
    expect(line).toBe('<4>{"level":"warn","event":"output.failed","path":"/run/x","code":"ERR_OUTPUT"}\n');
  });

  it("elsewhere carries the time", () => {
    const event = JSON.parse(written({}));
    expect(event).toMatchObject({
      level: "warn",
      event: "output.failed",
      time: expect.stringMatching(/^\d{4}-.*Z$/),
    });
  });
});
