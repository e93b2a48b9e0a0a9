// A directory that the test owns and that is gone after it.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";

export function temporaryDirectory(): string {
  const path = mkdtempSync(join(tmpdir(), "mooring-test-"));
  onTestFinished(() => rmSync(path, { recursive: true, force: true }));
  return path;
}
