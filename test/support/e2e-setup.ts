// Around all end-to-end tests: before them the program is built if it is older than its sources, and they get a
// temporary directory of their own; after them nothing may be left in it, and nobody may still be running there.

import { execFileSync } from "node:child_process";
import { chmodSync, existsSync, mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { leftoversIn } from "./leftovers.ts";

let directory = "";

export function setup(): void {
  execFileSync("make", ["-s", "-C", "native"], { stdio: "inherit" });
  if (isStale("dist/main.js", ["src", "scripts/build.mjs", "package.json"])) {
    execFileSync(process.execPath, ["scripts/build.mjs"], { stdio: "inherit" });
  }
  directory = mkdtempSync(join(tmpdir(), "mooring-e2e-"));
  chmodSync(directory, 0o755); // for the tests that give up root for a moment
  process.env["TMPDIR"] = directory;
}

export function teardown(): void {
  if (directory === "") return; // the setup failed, and said why
  const findings = leftoversIn(directory);
  rmSync(directory, { recursive: true, force: true });
  if (findings.length > 0) throw new Error(`the end-to-end tests did not clean up:\n${findings.join("\n")}`);
}

function isStale(product: string, sources: readonly string[]): boolean {
  if (!existsSync(product)) return true;
  const builtAt = statSync(product).mtimeMs;
  const files = sources.flatMap((source) =>
    statSync(source).isDirectory()
      ? readdirSync(source, { recursive: true, encoding: "utf8" }).map((name) => join(source, name))
      : [source],
  );
  return files.some((file) => statSync(file).mtimeMs > builtAt);
}
