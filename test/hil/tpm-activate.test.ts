import { randomBytes, randomInt } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import vectors from "../fixtures/tpm/public-vectors.json" with { type: "json" };
import { makeAuthenticationKey } from "../support/authentication-key.ts";
import { type Swtpm, startSwtpm } from "../support/swtpm.ts";
import { thrownBy } from "../support/thrown.ts";
import { authenticationKeyFor, hmacSha256, leftInTpm, withTpm, wrappedIn } from "../support/tpm.ts";

const hubKeyHandle = 0x8100_0100;

let swtpm: Swtpm;
beforeEach(async () => {
  swtpm = await startSwtpm();
});
afterEach(() => swtpm.stop());

describe("an authentication key", () => {
  it("becomes a wrapped key that signs as the key that the service knows, for data of any length", async () => {
    const key = randomBytes(32);
    await withTpm({ tcti: swtpm.tcti }, async (tpm) => {
      const wrapped = await wrappedIn(tpm, key);
      for (const size of [0, 1, 90, 1023, 1024, 1025, 2048, 2049, 5500]) {
        const data = randomBytes(size);
        expect(await tpm.sign(wrapped, data)).toEqual(hmacSha256(key, data));
      }
    });
    expect(await leftInTpm(swtpm)).toBe("");
  });

  it("does not reveal its key in the wrapped form", async () => {
    const key = randomBytes(32);
    const wrapped = await withTpm({ tcti: swtpm.tcti }, (tpm) => wrappedIn(tpm, key));
    expect(wrapped.includes(key)).toBe(false);
  });

  it("once persistent signs for tpm2_hmac as in software", async () => {
    const key = randomBytes(32);
    await withTpm({ tcti: swtpm.tcti }, async (tpm) => {
      await tpm.persist(await wrappedIn(tpm, key), hubKeyHandle, { ours: [] });
      const data = randomBytes(5500);
      expect(await tpm.signWithHandle(hubKeyHandle, data)).toEqual(hmacSha256(key, data));
    });

    const data = Buffer.from("hub.example/devices/gw-0001\n1700000000");
    const [input, output] = [join(swtpm.directory, "input"), join(swtpm.directory, "output")];
    await writeFile(input, data);
    await swtpm.tool("tpm2_hmac", "-c", "0x81000100", "-g", "sha256", "-o", output, input);
    expect(await readFile(output)).toEqual(hmacSha256(key, data));
  });

  it("survives a reset of the TPM in its wrapped form", async () => {
    const key = randomBytes(32);
    const wrapped = await withTpm({ tcti: swtpm.tcti }, (tpm) => wrappedIn(tpm, key));
    await swtpm.kill();
    await swtpm.restart();
    const data = Buffer.from("after the reset");
    expect(await withTpm({ tcti: swtpm.tcti }, (tpm) => tpm.sign(wrapped, data))).toEqual(
      hmacSha256(key, data),
    );
  });

  it("can be activated and used fifty times without a resource manager", async () => {
    await withTpm({ tcti: swtpm.tcti }, async (tpm) => {
      for (let round = 0; round < 50; round++) {
        const key = randomBytes(32);
        const data = randomBytes(round * 40);
        expect(await tpm.sign(await wrappedIn(tpm, key), data)).toEqual(hmacSha256(key, data));
      }
    });
    expect(await leftInTpm(swtpm)).toBe("");
  });

  it("is served in turn when calls overlap", async () => {
    const keys = Array.from({ length: 6 }, () => randomBytes(32));
    const data = Buffer.from("all at once");
    await withTpm({ tcti: swtpm.tcti }, async (tpm) => {
      const wrapped = await Promise.all(keys.map((key) => wrappedIn(tpm, key)));
      const signatures = await Promise.all(wrapped.map((key) => tpm.sign(key, data)));
      expect(signatures).toEqual(keys.map((key) => hmacSha256(key, data)));
    });
  });

  it("may be followed by more bytes, as other clients allow", async () => {
    await withTpm({ tcti: swtpm.tcti }, async (tpm) => {
      const blob = await authenticationKeyFor(tpm, randomBytes(32));
      expect((await tpm.activate(Buffer.concat([blob, Buffer.from("more")]))).length).toBeGreaterThan(0);
    });
  });
});

describe("what is refused as ERR_TPM_KEY_REJECTED", () => {
  it("is a key for another TPM, or for another storage root key of this TPM", async () => {
    await using other = await startSwtpm();
    const foreign = await withTpm({ tcti: other.tcti }, (tpm) => authenticationKeyFor(tpm, randomBytes(32)));
    const otherRoot = await withTpm({ tcti: other.tcti }, (tpm) => tpm.storageRootKey());

    await withTpm({ tcti: swtpm.tcti }, async (tpm) => {
      await authenticationKeyFor(tpm, randomBytes(32)); // creates EK and SRK
      expect((await thrownBy(() => tpm.activate(foreign))).code).toBe("ERR_TPM_KEY_REJECTED");
      const endorsementKey = await tpm.endorsementKey();
      const mixed = makeAuthenticationKey({
        key: randomBytes(32),
        endorsementKey,
        storageRootKey: otherRoot,
      });
      expect((await thrownBy(() => tpm.activate(mixed))).code).toBe("ERR_TPM_KEY_REJECTED");
    });
    expect(await leftInTpm(swtpm)).toBe("");
  });

  it.each(vectors.challenges)(
    "is a real challenge captured from a service, made for a stranger ($source)",
    async (challenge) => {
      await withTpm({ tcti: swtpm.tcti }, async (tpm) => {
        await tpm.storageRootKey();
        await tpm.endorsementKey();
        const error = await thrownBy(() => tpm.activate(Buffer.from(challenge.authenticationKey, "base64")));
        expect(error.code).toBe("ERR_TPM_KEY_REJECTED");
        expect(error.details.rc).not.toBe(0x4d0004); // well-formed: it is the TPM that refuses it
      });
    },
  );

  it("is a key of another kind, scheme or hash", async () => {
    await withTpm({ tcti: swtpm.tcti }, async (tpm) => {
      const storageRootKey = await tpm.storageRootKey();
      const endorsementKey = await tpm.endorsementKey();
      const alterations: ((publicArea: Buffer) => Buffer)[] = [
        (area) => Buffer.concat([Buffer.from("0001", "hex"), area.subarray(2)]),
        (area) => Buffer.concat([area.subarray(0, 2), Buffer.from("000c", "hex"), area.subarray(4)]),
        (area) => Buffer.concat([area.subarray(0, 4), Buffer.from("00020440", "hex"), area.subarray(8)]),
        (area) => Buffer.concat([area.subarray(0, 10), Buffer.from("0010", "hex"), area.subarray(14)]),
        (area) => Buffer.concat([area.subarray(0, 12), Buffer.from("0004", "hex"), area.subarray(14)]),
      ];
      for (const alterPublic of alterations) {
        const blob = makeAuthenticationKey({
          key: randomBytes(32),
          endorsementKey,
          storageRootKey,
          alterPublic,
        });
        expect((await thrownBy(() => tpm.activate(blob))).code).toBe("ERR_TPM_KEY_REJECTED");
      }
    });
  });

  it("is nothing, too little, too much, or noise", async () => {
    await withTpm({ tcti: swtpm.tcti }, async (tpm) => {
      await tpm.storageRootKey();
      for (const bytes of [0, 1, 2, 53, 1000, 70_000].map((size) => randomBytes(size))) {
        expect((await thrownBy(() => tpm.activate(bytes))).code).toBe("ERR_TPM_KEY_REJECTED");
        expect((await thrownBy(() => tpm.sign(bytes, Buffer.from("data")))).code).toBe(
          "ERR_TPM_KEY_REJECTED",
        );
      }
    });
  });

  it("is every mutation of a good key: truncated, bits flipped, bytes replaced", async () => {
    await withTpm({ tcti: swtpm.tcti }, async (tpm) => {
      const good = await authenticationKeyFor(tpm, randomBytes(32));
      const uriAt = 764; // the encrypted URI is of no use to anybody; damage to its content goes unnoticed
      for (let round = 0; round < 400; round++) {
        const at = randomInt(uriAt);
        const bad = mutate(good, at, round % 3);
        const error = await thrownBy(() => tpm.activate(bad));
        expect(error.code, `mutation ${round % 3} at ${at}: ${error.message}`).toBe("ERR_TPM_KEY_REJECTED");
      }
      expect((await tpm.activate(good)).length).toBeGreaterThan(0);
    });
    expect(await leftInTpm(swtpm)).toBe("");
    expect(await swtpm.tool("tpm2_getcap", "handles-persistent")).toBe("- 0x81000001\n- 0x81010001\n");
  });

  it("is every mutation of a wrapped key", async () => {
    await withTpm({ tcti: swtpm.tcti }, async (tpm) => {
      const good = await wrappedIn(tpm, randomBytes(32));
      for (let round = 0; round < 150; round++) {
        const at = randomInt(good.length);
        const error = await thrownBy(() => tpm.sign(mutate(good, at, round % 3), Buffer.from("data")));
        expect(error.code, `mutation ${round % 3} at ${at}: ${error.message}`).toBe("ERR_TPM_KEY_REJECTED");
      }
    });
    expect(await leftInTpm(swtpm)).toBe("");
  });
});

function mutate(good: Buffer, at: number, how: number): Buffer {
  const bad = Buffer.from(good);
  const byte = bad[at] ?? 0;
  if (how === 0) return bad.subarray(0, at);
  bad[at] = how === 1 ? byte ^ (1 << randomInt(8)) : (byte + 1 + randomInt(255)) & 0xff;
  return bad;
}
