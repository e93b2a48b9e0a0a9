import { randomBytes } from "node:crypto";
import { describe, expect, it } from "vitest";
import { sealAuthenticationKey } from "../../../src/service/attestation/authentication-key.ts";
import { readEndorsementKey, readStorageRootKey } from "../../../src/service/attestation/tpm-public.ts";
import vectors from "../../fixtures/dps-vectors.json" with { type: "json" };
import { type SoftTpm, sizedFields, softTpm } from "../soft-tpm.ts";

const tpm = softTpm();
const another = softTpm();
const key = randomBytes(32);
const resource = "https://x".padEnd(154, "x");

const keysOf = (endorsement: SoftTpm, storage: SoftTpm) => ({
  endorsementKey: readEndorsementKey(endorsement.endorsementKey, "ek"),
  storageRootKey: readStorageRootKey(storage.storageRootKey, "srk"),
});

describe("an authentication key", () => {
  it("has the layout of those that Azure sent", () => {
    const ours = sizedFields(
      Buffer.from(sealAuthenticationKey({ ...keysOf(tpm, tpm), key, resource }), "base64"),
    );
    const [captured = expect.fail()] = vectors.challengeResponses401;
    const theirs = sizedFields(Buffer.from(captured.json.authenticationKey, "base64"));
    expect(ours.map((field) => field.length)).toEqual(theirs.map((field) => field.length));
    expect(ours.map((field) => field.length)).toEqual([52, 256, 142, 256, 48, 154]);
    // All of the public area but `unique`.
    expect(ours[4]?.subarray(0, 16)).toEqual(theirs[4]?.subarray(0, 16));
  });

  it("gives the key to the TPM that it was made for", () => {
    expect(tpm.activate(sealAuthenticationKey({ ...keysOf(tpm, tpm), key, resource }))).toEqual(key);
  });

  it("gives nothing to another TPM, nor to a copied endorsement key with another storage root key", () => {
    const sealed = sealAuthenticationKey({ ...keysOf(tpm, tpm), key, resource });
    expect(() => another.activate(sealed)).toThrow();
    expect(() => tpm.activate(sealAuthenticationKey({ ...keysOf(tpm, another), key, resource }))).toThrow(
      "outer integrity",
    );
    expect(() => tpm.activate(sealAuthenticationKey({ ...keysOf(another, tpm), key, resource }))).toThrow();
  });

  it("shows any changed bit of what it carries", () => {
    const sealed = Buffer.from(sealAuthenticationKey({ ...keysOf(tpm, tpm), key, resource: "x" }), "base64");
    for (const at of [5, 40, 100, 320, 400, 500, 716, 750]) {
      const bent = Buffer.from(sealed);
      bent.writeUInt8(bent.readUInt8(at) ^ 1, at);
      expect(() => tpm.activate(bent.toString("base64")), `byte ${at}`).toThrow();
    }
  });

  it("is never the same twice", () => {
    const [one, two] = [1, 2].map(() => sealAuthenticationKey({ ...keysOf(tpm, tpm), key, resource }));
    expect(one).not.toBe(two);
  });
});
