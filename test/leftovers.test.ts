// The check that ends the end-to-end tests, shown that it can see what it looks for.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { leftoversIn } from "./support/leftovers.ts";
import { temporaryDirectory } from "./support/temporary-directory.ts";

it("sees nothing where nothing is, and a file and a process where they are", async () => {
  const directory = temporaryDirectory();
  expect(leftoversIn(directory)).toEqual([]);
  const file = join(directory, "state");
  writeFileSync(file, "");
  const child = spawn("tail", ["-f", file], { stdio: "ignore" });
  onTestFinished(() => void child.kill());
  await once(child, "spawn");
  expect(leftoversIn(directory)).toEqual([
    `still running: ${child.pid} tail -f ${file} `,
    "left behind: state",
  ]);
});
