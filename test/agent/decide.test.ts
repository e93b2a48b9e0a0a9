import { describe, expect, it } from "vitest";
import { type Decision, decide, type Facts, type Wanted } from "../../src/agent/decide.ts";
import { anAssignment } from "../support/assignments.ts";

const assignment = anAssignment({
  registrationId: "dev",
  idScope: "0ne1",
  endpoint: "dps.example",
  publicKeySha256: "aa",
});

const wanted: Wanted = {
  endpoint: "dps.example",
  idScope: "0ne1",
  attestation: "x509",
  registrationId: "dev",
  publicKeySha256: "aa",
};

const settled: Facts = {
  assignment,
  wanted,
  policy: { onChange: "auto", onDisenrolled: "keep" },
  operatorAsks: false,
};

const changed: Partial<Facts> = { wanted: { ...wanted, idScope: "0ne2" } };
const nothingYet: Partial<Facts> = { assignment: undefined };
const { policy } = settled;
const pause = (): { forMs: number; because: string } => ({ forMs: 5_000, because: "slowly" });
const finalFailure = "ERR_TPM_CHANGED";

type Row = [situation: string, facts: Partial<Facts>, decision: object];

const keeps: Row[] = [
  ["fits", {}, { act: "keep" }],
  [
    "fits as far as can be told without opening the identity",
    { wanted: { endpoint: wanted.endpoint, idScope: wanted.idScope, attestation: "x509" } },
    { act: "keep" },
  ],
  [
    "differs in case alone, which the service does not see",
    {
      wanted: {
        ...wanted,
        endpoint: "DPS.Example",
        idScope: "0NE1",
        registrationId: "DEV",
        publicKeySha256: "AA",
      },
    },
    { act: "keep" },
  ],
  ["fits, whatever failed before", { finalFailure }, { act: "keep" }],
  ["fits and the clock is wrong", { isClockPlausible: false }, { act: "keep" }],
  ["fits and the timer is not due", { timerDueInMs: 1 }, { act: "keep" }],
  [
    "was changed and a person is to be asked",
    { ...changed, policy: { ...policy, onChange: "ask" } },
    { act: "keep", pending: { trigger: "config-changed", because: "the id scope is now 0ne2, not 0ne1" } },
  ],
];

const provisions: Row[] = [
  ["there is none", nothingYet, { trigger: "first-boot" }],
  ["what there was is damaged", { ...nothingYet, isLost: true }, { trigger: "assignment-invalid" }],
  ["an operator asks, though it fits", { operatorAsks: true }, { trigger: "operator" }],
  [
    "an operator asks, after whatever failure, at once, and with any clock",
    { operatorAsks: true, finalFailure, pause, isClockPlausible: false },
    { act: "provision", trigger: "operator" },
  ],
  [
    "an operator asks about a change",
    { ...changed, operatorAsks: true, policy: { ...policy, onChange: "ask" } },
    { trigger: "operator" },
  ],
  ["the endpoint changed", { wanted: { ...wanted, endpoint: "new.example" } }, { trigger: "config-changed" }],
  ["the id scope changed", changed, { trigger: "config-changed", because: expect.stringContaining("0ne2") }],
  [
    "the registration id changed",
    { wanted: { ...wanted, registrationId: "dev2" } },
    { trigger: "config-changed", because: expect.stringContaining("dev2") },
  ],
  [
    "the identity is of another kind",
    { wanted: { ...wanted, attestation: "tpm" } },
    { trigger: "identity-changed", because: expect.stringContaining("tpm") },
  ],
  [
    "the key is another",
    { wanted: { ...wanted, publicKeySha256: "cc" } },
    { trigger: "identity-changed", because: expect.stringContaining("public key") },
  ],
  ["the enrollment is gone", { disenrolled: "ERR_NOT_ENROLLED" }, { trigger: "disenrolled" }],
  [
    "the enrollment is disabled",
    { disenrolled: "ERR_DISABLED" },
    { trigger: "disenrolled", because: expect.stringContaining("disabled") },
  ],
  [
    "the enrollment is gone and the assignment was withdrawn already",
    {
      disenrolled: "ERR_NOT_ENROLLED",
      isWithdrawn: true,
      policy: { ...policy, onDisenrolled: "withdraw" },
    },
    { trigger: "disenrolled" },
  ],
  ["the timer is due", { timerDueInMs: 0 }, { trigger: "timer" }],
];

const others: Row[] = [
  ["waits while manners ask for it", { ...nothingYet, pause }, { act: "wait", forMs: 5_000 }],
  [
    "waits for the clock before it waits for anything else",
    { ...nothingYet, pause, isClockPlausible: false },
    { act: "wait", because: expect.stringContaining("clock") },
  ],
  [
    "stops where the same can only fail again",
    { ...nothingYet, finalFailure },
    { act: "stop", code: "ERR_TPM_CHANGED", trigger: "first-boot" },
  ],
  [
    "withdraws once when the policy says so",
    { disenrolled: "ERR_DISABLED", policy: { ...policy, onDisenrolled: "withdraw" } },
    { act: "withdraw", trigger: "disenrolled" },
  ],
  [
    "withdraws nothing because a changed configuration was refused",
    { ...changed, disenrolled: "ERR_NOT_ENROLLED", policy: { ...policy, onDisenrolled: "withdraw" } },
    { act: "provision", trigger: "config-changed" },
  ],
];

const decideOn = (facts: Partial<Facts>): Decision => decide({ ...settled, ...facts });

describe("decide()", () => {
  it.each(keeps)("keeps an assignment that %s", (_situation, facts, decision) => {
    expect(decideOn(facts)).toEqual(decision);
  });

  it.each(provisions)("provisions when %s", (_situation, facts, decision) => {
    expect(decideOn(facts)).toMatchObject({ act: "provision", ...decision });
  });

  it.each(others)("%s", (_situation, facts, decision) => {
    expect(decideOn(facts)).toMatchObject(decision);
  });

  it("asks for the manners of the trigger that it found", () => {
    const asked: string[] = [];
    decideOn({ ...changed, pause: (trigger) => void asked.push(trigger) as undefined });
    expect(asked).toEqual(["config-changed"]);
  });
});
