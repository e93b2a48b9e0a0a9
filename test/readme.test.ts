// The README's promises that can be checked without running anything.

import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { errorTable } from "../src/errors.ts";

const readme = readFileSync("README.md", "utf8");
const manifest = JSON.parse(readFileSync("package.json", "utf8"));

/** Code and exit code of every row of the troubleshooting table. */
const rows = new Map(
  [...readme.matchAll(/^\| `(ERR_\w+)` \| (\d+) \| (.+) \|$/gm)].map(([, code = "", exit]) => [
    code,
    Number(exit),
  ]),
);

describe("the README", () => {
  it("explains every error code, and no other, with its exit code", () => {
    expect(rows).toEqual(new Map(Object.entries(errorTable).map(([code, { exitCode }]) => [code, exitCode])));
  });

  it("gives every dependency its reason", () => {
    const named = [...Object.keys(manifest.dependencies), ...Object.keys(manifest.optionalDependencies)];
    const section = readme.slice(readme.indexOf("## Dependencies"), readme.indexOf("## Development"));
    expect(named.filter((name) => !section.includes(`\`${name}\``))).toEqual([]);
  });

  it("names only npm scripts that exist", () => {
    const named = [...readme.matchAll(/npm (?:run (\w+)|(test))/g)].map(
      ([, script, test]) => script ?? test ?? "",
    );
    expect(named).toContain("demo");
    expect(named.filter((name) => !(name in manifest.scripts))).toEqual([]);
  });
});
