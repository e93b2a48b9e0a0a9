import { describe, expect, it } from "vitest";
import { endorsementKeyProblem, isHmacKey, nameOfPublic, wrappedKeyName } from "../../src/tpm/public-area.ts";
import vectors from "../fixtures/tpm/public-vectors.json" with { type: "json" };
import { thrownBy } from "../support/thrown.ts";

// The public area of the key in a challenge that a service sent: a TPM2B of 50 bytes at offset 714.
const captured = vectors.challenges.map(({ authenticationKey }) =>
  Buffer.from(authenticationKey, "base64").subarray(714, 764),
);

describe("a public area", () => {
  it.each(captured)("of a captured challenge is that of an HMAC key", (publicArea) => {
    expect(publicArea.readUInt16BE(0)).toBe(48);
    expect(isHmacKey(publicArea)).toBe(true);
    expect(nameOfPublic(publicArea)).toHaveLength(34);
    expect(nameOfPublic(publicArea).subarray(0, 2).toString("hex")).toBe("000b");
  });

  it.each(vectors.registrationIds)(
    "of an endorsement key is not that of an HMAC key",
    ({ endorsementKey }) => {
      expect(isHmacKey(Buffer.from(endorsementKey, "base64"))).toBe(false);
    },
  );

  it.each(["", "00", "0008000b"])("of the bytes %s is that of no key", (hex) => {
    expect(isHmacKey(Buffer.from(hex, "hex"))).toBe(false);
  });
});

describe("the name of a wrapped key", () => {
  const publicArea = captured[0] ?? Buffer.alloc(0);
  const wrapped = Buffer.concat([publicArea, Buffer.from("0003abcdef", "hex")]);

  it("is that of its public area, wherever its bytes lie in memory", () => {
    const shifted = new Uint8Array(wrapped.length + 7);
    shifted.set(wrapped, 7);
    expect(wrappedKeyName(wrapped)).toEqual(nameOfPublic(publicArea));
    expect(wrappedKeyName(shifted.subarray(7))).toEqual(nameOfPublic(publicArea));
  });

  it("is refused to anything cut, extended or of another kind", async () => {
    const wrong = [
      ...Array.from({ length: wrapped.length }, (_, size) => wrapped.subarray(0, size)),
      Buffer.concat([wrapped, Buffer.alloc(1)]),
      Buffer.concat([
        Buffer.from(vectors.registrationIds[0]?.endorsementKey ?? "", "base64"),
        Buffer.from("0000", "hex"),
      ]),
    ];
    for (const bytes of wrong)
      expect((await thrownBy(() => wrappedKeyName(bytes))).code).toBe("ERR_TPM_KEY_REJECTED");
  });
});

describe("an endorsement key for an enrollment", () => {
  it.each(vectors.registrationIds)("is taken when it is one", ({ endorsementKey }) => {
    expect(endorsementKeyProblem(endorsementKey)).toBeUndefined();
  });

  const bytes = Buffer.from(vectors.registrationIds[0]?.endorsementKey ?? "", "base64");

  it("is refused wherever it is cut, and when something follows", () => {
    const cut = Array.from({ length: bytes.length }, (_, size) => bytes.subarray(0, size));
    for (const wrong of [...cut, Buffer.concat([bytes, Buffer.alloc(1)])])
      expect(endorsementKeyProblem(wrong.toString("base64"))).toBeTypeOf("string");
  });

  it("is refused with any other type, name algorithm, cipher, scheme or size", () => {
    const policyEnd = 12 + bytes.readUInt16BE(10);
    const fields = [2, 4, policyEnd, policyEnd + 4, policyEnd + 6, policyEnd + 8];
    for (const at of fields) {
      const wrong = Buffer.from(bytes);
      wrong.writeUInt16BE(wrong.readUInt16BE(at) ^ 0x7, at);
      expect(endorsementKeyProblem(wrong.toString("base64")), `field at ${at}`).toBeTypeOf("string");
    }
  });

  it.each([
    ["nothing", ""],
    ["no base64", "AToAAQ…"],
    ["base64 for addresses", bytes.toString("base64url")],
  ])("is refused when it is %s", (_, text) => {
    expect(endorsementKeyProblem(text)).toBeTypeOf("string");
  });

  it("is refused when it is a storage key that anybody may use", () => {
    const storageRootKey = Buffer.from(bytes);
    storageRootKey.writeUInt32BE(0x0003_0472, 6);
    expect(endorsementKeyProblem(storageRootKey.toString("base64"))).toContain("attributes");
  });
});
