import { describe, expect, it } from "vitest";
import { requirePinnedTpm } from "../../src/agent/pinned-tpm.ts";
import type { Assignment } from "../../src/assignment/assignment.ts";
import { anAssignment } from "../support/assignments.ts";
import { recordingLog } from "../support/recording-log.ts";
import { thrownBy } from "../support/thrown.ts";

const names = { endorsementKey: `000b${"aa".repeat(32)}`, storageRootKey: `000b${"bb".repeat(32)}` };
const present = { names, publicKeySha256: "ab".repeat(32) };
const made: Partial<Assignment> = { attestation: "tpm", publicKeySha256: present.publicKeySha256 };
const pinned = anAssignment({ ...made, tpm: names });
const before = anAssignment(made); // as the first version wrote it

const otherTpm = {
  names: { endorsementKey: "000bcc", storageRootKey: "000bdd" },
  publicKeySha256: "cd".repeat(32),
};
const clearedTpm = { ...present, names: { ...names, storageRootKey: "000bdd" } };

describe("the TPM of an assignment", () => {
  it.each([
    ["is there", present, pinned],
    ["is there, of an assignment that did not keep its names", present, before],
    ["was cleared, which an assignment that did not keep its names cannot tell", clearedTpm, before],
    ["has nothing to be compared with before the first registration", otherTpm, undefined],
    ["has nothing to be compared with when it was none", otherTpm, anAssignment()],
  ])("%s: nothing is said", (_state, tpm, assignment) => {
    const log = recordingLog();
    requirePinnedTpm(tpm, assignment, { operatorAsks: false, log });
    expect(log.events).toEqual([]);
  });

  it.each([
    ["another", otherTpm, pinned, ["not the TPM that was provisioned", "000bcc", names.endorsementKey]],
    ["another, without names", otherTpm, before, ["not the TPM that was provisioned", "000bcc"]],
    ["cleared", clearedTpm, pinned, ["was cleared", "000bdd", names.storageRootKey]],
  ])(
    "is %s: it is refused with the evidence, unless an operator asks",
    async (_state, tpm, assignment, words) => {
      const log = recordingLog();
      const error = await thrownBy(() => requirePinnedTpm(tpm, assignment, { operatorAsks: false, log }));
      expect(error.code).toBe("ERR_TPM_CHANGED");
      for (const word of words) expect(error.message).toContain(word);
      expect(error.message).toContain(assignment.assignedHub);
      expect(error.hint).toContain("mooring reprovision");
      expect(log.events).toEqual([]);

      requirePinnedTpm(tpm, assignment, { operatorAsks: true, log });
      expect(log.named("warn")).toEqual(["tpm.changed"]);
    },
  );
});
