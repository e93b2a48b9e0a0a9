import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import { tpmRegistrationId } from "../../src/identity/tpm.ts";
import vectors from "../fixtures/tpm/public-vectors.json" with { type: "json" };

describe("the registration id of an endorsement key", () => {
  it.each(vectors.registrationIds.filter((vector) => vector.registrationId))(
    "is the one that a real device had ($source)",
    ({ endorsementKey, registrationId }) => {
      expect(tpmRegistrationId(Buffer.from(endorsementKey, "base64"))).toBe(registrationId);
    },
  );

  it.each(vectors.registrationIds.filter((vector) => vector.base64Digest))(
    "comes from the digest that another client used ($source)",
    ({ endorsementKey, base64Digest }) => {
      const key = Buffer.from(endorsementKey, "base64");
      const digest = Buffer.from(base64Digest?.replaceAll("-", "/") ?? "", "base64");
      expect(createHash("sha256").update(key).digest()).toEqual(digest);
      expect(tpmRegistrationId(key)).toBe("ve5blm4memswne36n3bd7fnjwqfmikvdmtwlqeaipywpith7h7xq");
    },
  );
});
