// What the status makes of the service's last word.

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import type { Decision } from "../../src/agent/decide.ts";
import { statusOf } from "../../src/agent/status.ts";
import { loadConfig } from "../../src/config/load.ts";
import { anAssignment } from "../support/assignments.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

const refusal = { code: "ERR_NOT_ENROLLED", message: "no enrollment" } as const;

async function confirmedWith(decision: Decision | undefined) {
  const directory = temporaryDirectory();
  const path = join(directory, "config.toml");
  writeFileSync(path, '[provisioning]\nid_scope = "0ne0000AAAA"\n[state]\ndirectory = "state"\n');
  const current = { number: 1, directory, assignment: anAssignment() };
  const { confirmed } = await statusOf(loadConfig(path), {
    ...{ alive: { running: false }, current, decision, clock: "plausible", now: 0 },
    attempts: { lastFailure: undefined, refusal },
  });
  return confirmed;
}

it("tells that the service takes the assignment back", async () => {
  const decision: Decision = { act: "provision", trigger: "disenrolled", because: "the enrollment is gone" };
  expect(await confirmedWith(decision)).toMatchObject({ by: "service", because: "no enrollment" });
});

it.each<Decision | undefined>([
  undefined,
  { act: "keep" },
  { act: "provision", trigger: "config-changed", because: "the id scope is now X" },
])("takes no refusal of something else for that: %j", async (decision) => {
  expect(await confirmedWith(decision)).not.toHaveProperty("because");
});
