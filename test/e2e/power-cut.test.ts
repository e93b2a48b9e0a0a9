// A new assignment is put away again and again, and each time the process is killed at another system call: what the
// next start finds is the old assignment or the new one, whole.

import { cpSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import {
  goodGenerations,
  loadCurrent,
  prepareState,
  promote,
  stage,
  verifyStaged,
} from "../../src/assignment/generations.ts";
import { anAssignment } from "../support/assignments.ts";
import { finished, nodeCommand, source } from "../support/children.ts";
import { recordingLog } from "../support/recording-log.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

/** Everything that changes a file system between staging and the end of promotion. */
const calls = ["mkdir", "fchmod", "write", "fsync", "rename", "symlink", "unlink", "rmdir"];
const keyOf = (deviceId: string): Buffer => Buffer.from(`wrapped key of ${deviceId}`);
const content = (deviceId: string) => ({ assignment: anAssignment({ deviceId }), hubKey: keyOf(deviceId) });

function putAway(state: string, deviceId: string): void {
  const staged = stage(state, content(deviceId));
  verifyStaged(staged);
  promote(state, staged);
}

const putAwayNew = (state: string): string => `
  import { promote, stage, verifyStaged } from ${source("assignment/generations.ts")};
  const state = ${JSON.stringify(state)};
  const staged = stage(state, { assignment: ${JSON.stringify(anAssignment({ deviceId: "new" }))}, hubKey: Buffer.from("${keyOf("new")}") });
  verifyStaged(staged);
  promote(state, staged);`;

/** True when there was an nth such call to be killed at. */
async function killedAt(call: string, nth: number, state: string): Promise<boolean> {
  const inject = `--inject=${call}:signal=SIGKILL:when=${nth}`;
  const strace = ["strace", "-f", "-o", "/dev/null", "-e", `trace=${call}`, inject];
  const run = await finished([...strace, ...nodeCommand(putAwayNew(state))]);
  if (run.signal !== "SIGKILL") expect(run).toMatchObject({ code: 0, stderr: "" });
  return run.signal === "SIGKILL";
}

it("killed at any system call, putting an assignment away leaves the old one or the new one", async () => {
  const directory = temporaryDirectory();
  const before = join(directory, "before");
  prepareState(before);
  for (const deviceId of ["older", "old"]) putAway(before, deviceId);

  const outcomes: string[] = [];
  for (const call of calls) {
    for (let nth = 1; ; nth += 1) {
      const state = join(directory, `${call}-${nth}`);
      cpSync(before, state, { recursive: true, verbatimSymlinks: true });
      if (!(await killedAt(call, nth, state))) break;

      const log = recordingLog();
      const current = loadCurrent(state, { log });
      const deviceId = current?.assignment.deviceId ?? "none";
      expect(["old", "new"], `${call} ${nth}`).toContain(deviceId);
      expect(current).toMatchObject(content(deviceId));
      expect(log.events).toEqual([]);
      expect(goodGenerations(state).length).toBeGreaterThanOrEqual(2);
      outcomes.push(deviceId);

      putAway(state, "next");
      expect(loadCurrent(state, { log })?.assignment.deviceId).toBe("next");
      expect(goodGenerations(state).map(({ assignment }) => assignment.deviceId)).toEqual(["next", deviceId]);
      expect(readdirSync(join(state, "generations"))).toHaveLength(2);
      expect(readdirSync(state).sort()).toEqual(["current", "generations"]);
    }
  }
  expect(outcomes.length).toBeGreaterThan(20);
  expect(new Set(outcomes)).toEqual(new Set(["old", "new"]));
});
