// What an installation from the sources starts (README, "Install").

import { execFileSync } from "node:child_process";
import { chmodSync, symlinkSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { expect, it } from "vitest";
import { temporaryDirectory } from "../support/temporary-directory.ts";

it("takes the tested Node through a link from anywhere, whatever the machine has", () => {
  const directory = temporaryDirectory();
  const [link, other] = [join(directory, "mooring"), join(directory, "node")];
  symlinkSync(resolve("scripts/mooring"), link);
  writeFileSync(other, "#!/bin/sh\necho another Node >&2\nexit 69\n");
  chmodSync(other, 0o755);
  const env = { PATH: `${directory}:/usr/bin:/bin` };
  const run = (file: string): string =>
    execFileSync(file, ["--version"], { cwd: "/", env, encoding: "utf8", stdio: "pipe" });
  expect(run(link)).toMatch(/^\d+\.\d+\.\d+/);
  expect(() => run(resolve("dist/main.js"))).toThrow("another Node"); // negative control
});
