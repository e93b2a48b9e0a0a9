import { describe, expect, it } from "vitest";
import { decide, type Wanted } from "../../src/agent/decide.ts";
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

describe("decide()", () => {
  it("keeps an assignment that fits", () => {
    expect(decide({ assignment, wanted, operatorAsks: false })).toEqual({ act: "keep" });
  });

  it("keeps an assignment when the identity was not opened to find out more", () => {
    const { registrationId: _id, publicKeySha256: _key, ...glimpsed } = wanted;
    expect(decide({ assignment, wanted: glimpsed, operatorAsks: false })).toEqual({ act: "keep" });
  });

  it("compares without regard to case, as the service does", () => {
    const shouted = {
      ...wanted,
      endpoint: "DPS.Example",
      idScope: "0NE1",
      registrationId: "DEV",
      publicKeySha256: "AA",
    };
    expect(decide({ assignment, wanted: shouted, operatorAsks: false })).toEqual({ act: "keep" });
  });

  it.each<[string, Partial<Wanted>, string, string]>([
    ["another endpoint", { endpoint: "new.example" }, "config-changed", "new.example"],
    ["another id scope", { idScope: "0ne2" }, "config-changed", "0ne2"],
    ["another registration id", { registrationId: "dev2" }, "config-changed", "dev2"],
    ["another kind of identity", { attestation: "tpm" }, "identity-changed", "tpm"],
    ["another key", { publicKeySha256: "cc" }, "identity-changed", "public key"],
  ])("provisions for %s, and says which", (_what, change, trigger, words) => {
    const decision = decide({ assignment, wanted: { ...wanted, ...change }, operatorAsks: false });
    expect(decision).toMatchObject({ act: "provision", trigger, because: expect.stringContaining(words) });
  });

  it("provisions when there is nothing to keep", () => {
    expect(decide({ assignment: undefined, wanted, operatorAsks: false })).toMatchObject({
      trigger: "first-boot",
    });
  });

  it("provisions when an operator asks, even if all fits", () => {
    expect(decide({ assignment, wanted, operatorAsks: true })).toMatchObject({ trigger: "operator" });
  });
});
