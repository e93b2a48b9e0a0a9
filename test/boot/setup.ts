// Before all boots: the package of this tree, and the image with it.

import { execFileSync } from "node:child_process";
import { readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { TestProject } from "vitest/node";
import * as aroundAll from "../support/e2e-setup.ts";
import { architecture } from "./architecture.ts";
import { type Image, prepareImage, say } from "./image.ts";

declare module "vitest" {
  export interface ProvidedContext {
    image: Image;
  }
}

export function setup(project: TestProject): void {
  aroundAll.setup();
  const { MOORING_BOOT_PACKAGE: given } = process.env;
  const directory = join(process.env["TMPDIR"] ?? "", "packages");
  project.provide("image", prepareImage(given ?? packageIn(directory)));
  rmSync(directory, { recursive: true, force: true });
}

export const teardown = aroundAll.teardown;

/** Not compressed, which is what takes the time. */
function packageIn(directory: string): string {
  say("making the package");
  const options = ["--arch", architecture.name, "--as-built", "--uncompressed", "--out", directory];
  execFileSync(process.execPath, ["scripts/package.mjs", ...options], {
    stdio: ["ignore", "ignore", "inherit"],
  });
  const [name = ""] = readdirSync(directory);
  return join(directory, name);
}
