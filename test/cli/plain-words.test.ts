import { Command } from "commander";
import { describe, expect, it } from "vitest";
import { withCommonOptions } from "../../src/cli/options.ts";
import { plainOptions } from "../../src/cli/plain-words.ts";

/** What Commander makes of the same words; undefined when it refuses them. */
function asCommanderSays(words: readonly string[]): Record<string, unknown> | undefined {
  const command = withCommonOptions(new Command("run"))
    .exitOverride()
    .configureOutput({ writeOut: () => {}, writeErr: () => {} })
    .action(() => {});
  try {
    const { config, ...options } = command.parse([...words], { from: "user" }).opts();
    return command.getOptionValueSource("config") === "default" ? options : { config, ...options };
  } catch {
    return undefined;
  }
}

describe("plain words", () => {
  it.each([
    [[]],
    [["--config", "a.toml"]],
    [["-c", "a.toml", "--verbose"]],
    [["--json", "--verbose", "--config", "/etc/a b.toml"]],
    [["--verbose", "--verbose"]],
    [["-c", "first.toml", "-c", "last.toml"]],
    [["--config", ""]],
  ])("mean to Commander what they mean here: %j", (words) => {
    expect(plainOptions(words)).toBeDefined();
    expect(plainOptions(words)).toEqual(asCommanderSays(words));
  });

  it.each([
    [["--help"]],
    [["now"]],
    [["--frob"]],
    [["-c"]],
    [["--config", "--json"]],
    [["--config=a.toml"]],
    [["-ca.toml"]],
    [["--"]],
    [["--json", "--help"]],
  ])("are not these, which are left to Commander: %j", (words) => {
    expect(plainOptions(words)).toBeUndefined();
  });
});
