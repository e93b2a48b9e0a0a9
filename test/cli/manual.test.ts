// The man page and the completion, against the help of the built commands and against bash itself.

import { execFileSync, spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { afterEach, describe, expect, it, vi } from "vitest";
import { run } from "../../src/cli/program.ts";

afterEach(() => vi.restoreAllMocks());

async function printed(...args: readonly string[]): Promise<string> {
  let text = "";
  vi.spyOn(process.stdout, "write").mockImplementation((chunk) => {
    text += String(chunk);
    return true;
  });
  expect(await run(["node", "mooring", ...args])).toBe(0);
  vi.restoreAllMocks();
  return text;
}

describe("the man page", () => {
  it("has every command with its options and remarks, and man finds nothing to complain of", async () => {
    const source = await printed("manual", "mooring.8", "--date", "2026-01-02");
    const { stdout: page, stderr } = spawnSync("groff", ["-man", "-Tutf8", "-ww", "-P-cbu"], {
      input: source,
      encoding: "utf8",
    });
    expect(stderr).toBe("");
    for (const words of [
      "mooring run",
      "mooring reprovision",
      "mooring service run",
      "mooring enrollment create",
    ])
      expect(page).toContain(words);
    expect(page).toContain("--dry-run");
    expect(page).toContain("SIGTERM ends it");
    expect(page).toContain("2026-01-02");
    expect(page).not.toContain("errand");
  });

  it("names every unit that is shipped", async () => {
    const source = (await printed("manual", "mooring.8")).replaceAll("\\-", "-");
    const shipped = readdirSync("systemd").filter((name) =>
      /\.(service|socket|timer|path|target)$/.test(name),
    );
    expect(shipped.length).toBeGreaterThan(8);
    expect(shipped.filter((name) => !source.includes(name))).toEqual([]);
  });

  it("shows which commands know --json, as the README has it, and mooring where the package puts it", async () => {
    const source = (await printed("manual", "mooring.8")).replaceAll("\\-", "-").replaceAll("\\&", "");
    const [commands = ""] = source.split(".SH UNITS");
    const without = commands
      .split('.SS "mooring ')
      .slice(1)
      .filter((section) => !section.includes("--json"))
      .map((section) => `\`${section.split('"', 1)[0]}\``);
    expect(without.length).toBeGreaterThan(0);
    const readme = readFileSync("README.md", "utf8").replaceAll("\n", " ");
    expect(readme).toContain(
      `Every command has \`--help\`, and \`--json\` but for ${without.join(" and ")};`,
    );
    expect(source).not.toContain("/usr/local/bin/mooring");
    expect(source).toContain("ExecStartPre=/usr/bin/mooring wait");
  });

  it("of the configuration is the commented template", async () => {
    const source = await printed("manual", "mooring.toml.5");
    expect(source).toContain("id_scope");
    expect(source.match(/^'.*$/gm)).toBeNull();
  });
});

describe("the completion", () => {
  const complete = (script: string, ...words: readonly string[]): string[] => {
    const ask = `COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _mooring; printf '%s\\n' "\${COMPREPLY[@]}"`;
    const output = execFileSync("bash", ["-c", `${script}\n${ask}`, "bash", ...words], { encoding: "utf8" });
    return output.trim().split("\n");
  };

  it("knows commands, their commands and their options, wherever options stand", async () => {
    const script = await printed("manual", "completion");
    expect(complete(script, "mooring", "rep")).toEqual(["reprovision"]);
    expect(complete(script, "mooring", "service", "")).toContain("run");
    expect(complete(script, "mooring", "--json", "reprovision", "--d")).toEqual(["--dry-run"]);
    expect(complete(script, "mooring", "nonsense", "")).toContain("status");
  });
});
