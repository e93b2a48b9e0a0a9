import { describe, expect, it } from "vitest";
import { readEndorsementKey, readStorageRootKey } from "../../../src/service/attestation/tpm-public.ts";
import { Refusal } from "../../../src/service/refusal.ts";
import vectors from "../../fixtures/dps-vectors.json" with { type: "json" };
import { softTpm } from "../soft-tpm.ts";

const tpm = softTpm();
const captured = vectors.registrationIdFromEk[0]?.endorsementKey ?? "";

function refusalOf(act: () => unknown): string {
  try {
    act();
  } catch (error) {
    expect(error).toBeInstanceOf(Refusal);
    expect((error as Refusal).errorCode).toBe(400000);
    return (error as Refusal).message;
  }
  return expect.fail("it was not refused");
}

const changed = (base64: string, at: number, value: number): string => {
  const bytes = Buffer.from(base64, "base64");
  bytes.writeUInt8(value, at);
  return bytes.toString("base64");
};

describe("the public area of a TPM's key", () => {
  it("is read from a real device's request, with the size in front or without", () => {
    const key = readEndorsementKey(captured, "ek");
    expect(key.area).toHaveLength(314);
    expect(key.name).toHaveLength(34);
    expect(key.key.asymmetricKeyDetails).toEqual({ modulusLength: 2048, publicExponent: 65537n });
    const bare = Buffer.from(captured, "base64").subarray(2).toString("base64");
    expect(readEndorsementKey(bare, "ek").name).toEqual(key.name);
  });

  it("must be that of an endorsement key where one is asked for", () => {
    expect(readStorageRootKey(tpm.storageRootKey, "srk").area).toHaveLength(282);
    expect(refusalOf(() => readEndorsementKey(tpm.storageRootKey, "tpm.endorsementKey"))).toBe(
      "tpm.endorsementKey: its attributes are not those of such a key",
    );
  });

  it.each([
    ["text", "not base64!", "not base64"],
    ["nothing", "", "not base64"],
    ["a cut", Buffer.from(captured, "base64").subarray(0, 300).toString("base64"), "not a complete"],
    ["a few bytes of it", Buffer.from("0001000b", "hex").toString("base64"), "not a complete TPM2B_PUBLIC"],
    [
      "more than it",
      `${Buffer.from(`${Buffer.from(captured, "base64").subarray(2).toString("hex")}00`, "hex").toString("base64")}`,
      "not a complete",
    ],
    ["an elliptic curve", changed(captured, 3, 0x23), "not an RSA key"],
    ["SHA-1 names", changed(captured, 5, 0x04), "name algorithm"],
    ["a key that can leave the TPM", changed(captured, 9, 0xb0), "attributes"],
    ["RSA of 1024 bits", changed(captured, 52, 0x04), "2048"],
  ])("is refused with its field and reason for %s", (_, base64, reason) => {
    const message = refusalOf(() => readEndorsementKey(base64, "tpm.endorsementKey"));
    expect(message).toMatch(/^tpm\.endorsementKey: /);
    expect(message).toContain(reason);
  });
});
