import { createHmac } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { inspect } from "node:util";
import { describe, expect, it } from "vitest";
import { openSymmetricKeyIdentity } from "../../src/identity/symmetric-key.ts";
import { silentLog } from "../../src/system/log.ts";
import { recordingLog } from "../support/recording-log.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";
import { thrownBy } from "../support/thrown.ts";

interface GroupVector {
  readonly groupKeyB64: string;
  readonly registrationId: string;
  readonly derivedKeyB64: string;
}
const vectors: { symmetricKeyGroup: GroupVector[] } = JSON.parse(
  readFileSync(new URL("../fixtures/dps-vectors.json", import.meta.url), "utf8"),
);

function keyFile(content: string, mode = 0o600): string {
  const path = join(temporaryDirectory(), "key");
  writeFileSync(path, content, { mode });
  return path;
}
const key = Buffer.from("0123456789abcdef0123456789abcdef");
const options = { registrationId: "gw-0001", log: silentLog };

describe("a symmetric key identity", () => {
  it.each(vectors.symmetricKeyGroup)(
    "derives the documented device key for $registrationId",
    async (vector) => {
      const { groupKeyB64, registrationId, derivedKeyB64 } = vector;
      const identity = openSymmetricKeyIdentity(
        { groupKeyFile: keyFile(groupKeyB64) },
        { ...options, registrationId },
      );
      const expected = createHmac("sha256", Buffer.from(derivedKeyB64, "base64")).update("data").digest();
      expect(await identity.sign(Buffer.from("data"))).toEqual(expected);
      const individual = openSymmetricKeyIdentity(
        { keyFile: keyFile(derivedKeyB64) },
        { ...options, registrationId },
      );
      expect(individual.publicKeySha256).toBe(identity.publicKeySha256);
    },
  );

  it("signs with the device's own key, line end or not", async () => {
    for (const end of ["", "\n", "\r\n"]) {
      const identity = openSymmetricKeyIdentity({ keyFile: keyFile(key.toString("base64") + end) }, options);
      expect(identity).toMatchObject({
        source: "symmetric-key",
        attestation: "symmetricKey",
        registrationId: "gw-0001",
      });
      expect(await identity.sign(Buffer.from("data"))).toEqual(
        createHmac("sha256", key).update("data").digest(),
      );
    }
  });

  it("tells keys apart without showing them", () => {
    const a = openSymmetricKeyIdentity({ keyFile: keyFile(key.toString("base64")) }, options);
    const b = openSymmetricKeyIdentity({ groupKeyFile: keyFile(key.toString("base64")) }, options);
    expect(a.publicKeySha256).not.toBe(b.publicKeySha256);
    const shown = inspect(a, { depth: 9, showHidden: true }) + JSON.stringify(a);
    for (const form of ["base64", "hex", "latin1"] as const) expect(shown).not.toContain(key.toString(form));
  });

  it.each([
    "",
    "not base64!",
    Buffer.alloc(15).toString("base64"),
    Buffer.alloc(65).toString("base64"),
    `${key.toString("base64")}x`,
    `${key.toString("base64")}\n${key.toString("base64")}`,
  ])("refuses the key %j, and does not repeat it", async (content) => {
    const error = await thrownBy(() => openSymmetricKeyIdentity({ keyFile: keyFile(content) }, options));
    expect(error.code).toBe("ERR_IDENTITY_INVALID");
    if (content) expect(error.message).not.toContain(content);
  });

  it("needs a registration id, a file, and a file that others cannot read", async () => {
    const files = { keyFile: keyFile(key.toString("base64"), 0o644) };
    const unnamed = await thrownBy(() =>
      openSymmetricKeyIdentity(files, { ...options, registrationId: undefined }),
    );
    expect(unnamed.code).toBe("ERR_REGISTRATION_ID_INVALID");
    expect((await thrownBy(() => openSymmetricKeyIdentity({}, options))).code).toBe("ERR_IDENTITY_NOT_FOUND");
    const missing = await thrownBy(() => openSymmetricKeyIdentity({ keyFile: "/no/such/key" }, options));
    expect(missing.code).toBe("ERR_IDENTITY_UNREADABLE");
    const log = recordingLog();
    openSymmetricKeyIdentity(files, { ...options, log });
    expect(log.named("warn")).toEqual(["identity.secret-file-open"]);
  });
});
