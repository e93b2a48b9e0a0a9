import { randomBytes } from "node:crypto";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { nameOfPublic } from "../../src/tpm/public-area.ts";
import { type Swtpm, startSwtpm } from "../support/swtpm.ts";
import { thrownBy } from "../support/thrown.ts";
import { authenticationKeyFor, hmacSha256, leftInTpm, withTpm, wrappedIn } from "../support/tpm.ts";
import { commandCode, startTpmProxy, type TpmProxy } from "../support/tpm-proxy.ts";

const rcRetry = 0x922;
const rcInconsistent = 0x4d0003;
const rcIoError = 0xa000a;
/** TPM_CAP */
const capability = { commands: 2, properties: 6 };

let swtpm: Swtpm;
let proxy: TpmProxy;
beforeEach(async () => {
  swtpm = await startSwtpm();
  await withTpm({ tcti: swtpm.tcti }, async (tpm) => [
    await tpm.storageRootKey(),
    await tpm.endorsementKey(),
  ]);
  proxy = await startTpmProxy(swtpm);
});
afterEach(async () => {
  await proxy[Symbol.asyncDispose]();
  await swtpm.stop();
});

/** How often the program sent a command. */
const sent = (code: number): number =>
  proxy.commands.filter((command) => command.readUInt32BE(6) === code).length;

describe("somebody who listens on the bus", () => {
  it("sees neither the wrapping key, nor the HMAC key, nor what is signed, nor the signature", async () => {
    const [key, wrappingKey] = [randomBytes(32), randomBytes(16)];
    const [short, long] = [Buffer.from("short and secret"), randomBytes(5500)];
    const { blob, signatures } = await withTpm({ tcti: proxy.tcti }, async (tpm) => {
      const blob = await authenticationKeyFor(tpm, key, wrappingKey);
      const wrapped = await tpm.activate(blob);
      return { blob, signatures: [await tpm.sign(wrapped, short), await tpm.sign(wrapped, long)] };
    });

    const seen = Buffer.concat([...proxy.commands, ...proxy.responses]);
    const secrets = [key, wrappingKey, short, long.subarray(0, 1024), long.subarray(-16), ...signatures];
    for (const secret of secrets) expect(seen.includes(secret)).toBe(false);
    expect(seen.includes(blob.subarray(314, 456))).toBe(true); // negative control: the duplicate travels as it came
  });
});

describe("somebody who changes answers on the bus", () => {
  it("cannot change a signature unnoticed", async () => {
    await withTpm({ tcti: proxy.tcti }, async (tpm) => {
      const wrapped = await wrappedIn(tpm, randomBytes(32));
      proxy.inject({ command: commandCode.hmac, trouble: { garble: (response) => flipped(response, 20) } });
      const error = await thrownBy(() => tpm.sign(wrapped, Buffer.from("data")));
      expect(error.code).toBe("ERR_TPM_COMMAND");
      expect(error.details.rc).toBe(0x7001b);
      proxy.heal();
      expect((await thrownBy(() => tpm.describe())).details.rc).toBe(0x7001b); // for that reason the context is spent
    });
  });

  it("cannot show one storage root key and use another", async () => {
    proxy.inject({ command: commandCode.readPublic, from: 2, to: 2, trouble: { garble: forgedPublic } });
    const error = await withTpm({ tcti: proxy.tcti }, (tpm) => thrownBy(() => tpm.storageRootKey()));
    expect(error.code).toBe("ERR_TPM_COMMAND");
    expect(error.details.rc).toBe(rcInconsistent);
  });

  it.each<[string, Buffer]>([
    ["a list of something else, and longer", capabilities(capability.commands, Array(256).fill(0xffffffff))],
    ["always the same", capabilities(capability.properties, [0x100, 0], { more: true })],
  ])("cannot lead astray who asks for properties, with %s", async (_what, response) => {
    await withTpm({ tcti: proxy.tcti }, async (tpm) => {
      proxy.inject({ command: commandCode.getCapability, trouble: { garble: () => response } });
      const error = await thrownBy(() => tpm.describe());
      expect(error.code).toBe("ERR_TPM_COMMAND");
      expect(error.details.rc).toBe(rcInconsistent);
      proxy.heal();
      expect((await tpm.describe()).inLockout).toBe(false);
    });
  });
});

describe("a TPM that is in trouble", () => {
  it.each([
    ["RETRY", 0x922],
    ["TESTING", 0x90a],
    ["YIELDED", 0x908],
    ["NV_RATE", 0x920],
    ["NV_UNAVAILABLE", 0x923],
  ])("and says TPM_RC_%s is asked again, with pauses", async (_name, rc) => {
    proxy.inject({ command: commandCode.load, to: 8, trouble: { answer: rc } });
    const [key, data] = [randomBytes(32), Buffer.from("data")];
    const signature = await withTpm({ tcti: proxy.tcti }, async (tpm) =>
      tpm.sign(await wrappedIn(tpm, key), data),
    );
    expect(signature).toEqual(hmacSha256(key, data));
    expect(sent(commandCode.load)).toBe(9);
  });

  it("and asks to retry for ever is reported as busy, after the time that it may take and not many questions", async () => {
    await withTpm({ tcti: proxy.tcti, timeoutMs: 1_000 }, async (tpm) => {
      const wrapped = await wrappedIn(tpm, randomBytes(32));
      proxy.inject({ command: commandCode.load, trouble: { answer: rcRetry } });
      const startedAt = performance.now();
      expect((await thrownBy(() => tpm.sign(wrapped, Buffer.from("data")))).code).toBe("ERR_TPM_BUSY");
      expect(performance.now() - startedAt).toBeGreaterThan(900);
      expect(performance.now() - startedAt).toBeLessThan(3_000);
      expect(sent(commandCode.load)).toBeLessThan(20);
      proxy.heal();
      expect((await tpm.sign(wrapped, Buffer.from("data"))).length).toBe(32);
    });
    expect(await leftInTpm(swtpm)).toBe("");
  });

  it.each([
    ["0x921", "ERR_TPM_LOCKOUT"],
    ["0x9a2", "ERR_TPM_AUTHORIZATION"],
    ["0x98e", "ERR_TPM_AUTHORIZATION"],
    ["0x101", "ERR_TPM_KEY_REJECTED"],
    ["0x1df", "ERR_TPM_KEY_REJECTED"],
    ["0x18b", "ERR_TPM_COMMAND"],
  ])("and answers an import with %s is reported as %s, and works again afterwards", async (rcText, code) => {
    await withTpm({ tcti: proxy.tcti }, async (tpm) => {
      const rc = Number(rcText);
      const blob = await authenticationKeyFor(tpm, randomBytes(32));
      proxy.inject({ command: commandCode.import, trouble: { answer: rc } });
      const error = await thrownBy(() => tpm.activate(blob));
      expect(error.code).toBe(code);
      expect(error.details.rc).toBe(rc);
      if (code === "ERR_TPM_AUTHORIZATION" || code === "ERR_TPM_LOCKOUT")
        expect(sent(commandCode.import)).toBe(1);
      proxy.heal();
      expect((await tpm.activate(blob)).length).toBeGreaterThan(0);
    });
    expect(await leftInTpm(swtpm)).toBe("");
  });

  it("and works on refuses the key, also where the storage root key is at another handle", async () => {
    const rootKeyHandles = { endorsement: 0x81010002, storage: 0x81000002 };
    await swtpm.tool("tpm2_evictcontrol", "-C", "o", "-c", "0x81000001");
    await withTpm({ tcti: proxy.tcti, rootKeyHandles }, async (tpm) => {
      const blob = await authenticationKeyFor(tpm, randomBytes(32));
      proxy.inject({ command: commandCode.import, trouble: { answer: 0x101 } });
      expect((await thrownBy(() => tpm.activate(blob))).code).toBe("ERR_TPM_KEY_REJECTED");
    });
  });

  it("and fails at everything is not blamed on the key", async () => {
    await withTpm({ tcti: proxy.tcti }, async (tpm) => {
      const blob = await authenticationKeyFor(tpm, randomBytes(32));
      proxy.inject({ trouble: { answer: 0x101 } });
      expect((await thrownBy(() => tpm.activate(blob))).code).toBe("ERR_TPM_COMMAND");
    });
  });
});

describe("a TPM that was reset while it was open", () => {
  it("is used on, with a new session", async () => {
    const [key, data] = [randomBytes(32), Buffer.from("data")];
    await withTpm({ tcti: swtpm.tcti }, async (tpm) => {
      const wrapped = await wrappedIn(tpm, key);
      await swtpm.kill();
      await swtpm.restart();
      expect(await tpm.sign(wrapped, data)).toEqual(hmacSha256(key, data));
    });
  });
});

describe("a connection that breaks", () => {
  it.each([0, 1, 2, 3, 4, 5, 6])(
    "after %i more commands ends the call with ERR_TPM_UNAVAILABLE, and the next call too",
    async (more) => {
      await withTpm({ tcti: proxy.tcti }, async (tpm) => {
        const blob = await authenticationKeyFor(tpm, randomBytes(32));
        proxy.inject({ from: more + 1, trouble: "hang up" });
        const error = await thrownBy(async () => tpm.sign(await tpm.activate(blob), Buffer.from("data")));
        expect(error.code).toBe("ERR_TPM_UNAVAILABLE");
        expect((await thrownBy(() => tpm.describe())).code).toBe("ERR_TPM_UNAVAILABLE");
      });
    },
  );

  it("while it is told to clean up is the reason of all that fails then", async () => {
    await withTpm({ tcti: proxy.tcti }, async (tpm) => {
      const blob = await authenticationKeyFor(tpm, randomBytes(32));
      proxy.inject({ command: commandCode.flushContext, to: 1, trouble: "hang up" });
      for (let call = 0; call < 2; call++) {
        const error = await thrownBy(() => tpm.activate(blob)); // the policy session ends before the import
        expect(error.code).toBe("ERR_TPM_UNAVAILABLE");
        expect(error.details.rc).toBe(rcIoError);
      }
    });
  });

  it("because the TPM is gone ends the call too", async () => {
    await withTpm({ tcti: swtpm.tcti }, async (tpm) => {
      await tpm.describe();
      await swtpm.kill();
      expect((await thrownBy(() => tpm.describe())).code).toBe("ERR_TPM_UNAVAILABLE");
    });
  });

  it("is refused in words when there is no TPM at all", async () => {
    const error = await thrownBy(() =>
      withTpm({ tcti: "swtpm:path=/nowhere/tpm.sock" }, (tpm) => tpm.describe()),
    );
    expect(error.code).toBe("ERR_TPM_UNAVAILABLE");
    expect(error.message).toContain("swtpm:path=/nowhere/tpm.sock");
  });

  it("leaves sessions and objects behind that do not keep the next ones from working", async () => {
    const [key, data] = [randomBytes(32), Buffer.from("data")];
    const wrapped = await withTpm({ tcti: proxy.tcti }, (tpm) => wrappedIn(tpm, key));
    for (let round = 0; round < 4; round++) {
      await withTpm({ tcti: proxy.tcti }, async (tpm) => {
        proxy.inject({ command: commandCode.hmac, trouble: "hang up" });
        await thrownBy(() => tpm.sign(wrapped, data));
      });
    }
    proxy.heal();
    expect(await leftInTpm(swtpm)).not.toBe("");
    expect(await withTpm({ tcti: proxy.tcti }, (tpm) => tpm.sign(wrapped, data))).toEqual(
      hmacSha256(key, data),
    );
    expect(await withTpm({ tcti: swtpm.tcti }, (tpm) => tpm.sign(wrapped, data))).toEqual(
      hmacSha256(key, data),
    );
  });
});

/** The answer to TPM2_GetCapability: moreData, TPMS_CAPABILITY_DATA with a list whose items are `words`. */
function capabilities(kind: number, words: readonly number[], { more = false } = {}): Buffer {
  const count = kind === capability.properties ? words.length / 2 : words.length;
  const body = Buffer.alloc(4 * (2 + words.length));
  for (const [index, word] of [kind, count, ...words].entries()) body.writeUInt32BE(word, 4 * index);
  const header = Buffer.from("80010000000000000000", "hex");
  header.writeUInt32BE(header.length + 1 + body.length, 2);
  return Buffer.concat([header, Buffer.of(more ? 1 : 0), body]);
}

/** Another modulus, and the Name that goes with it: header, TPM2B_PUBLIC, TPM2B_NAME. */
function forgedPublic(response: Buffer): Buffer {
  const forged = flipped(response, 200);
  const publicEnd = 12 + forged.readUInt16BE(10);
  nameOfPublic(forged.subarray(10, publicEnd)).copy(forged, publicEnd + 2);
  return forged;
}

function flipped(frame: Buffer, at: number): Buffer {
  const copy = Buffer.from(frame);
  copy[at] = (copy[at] ?? 0) ^ 1;
  return copy;
}
