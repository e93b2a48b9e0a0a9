import { randomBytes } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type Log, silentLog } from "../../src/system/log.ts";
import { wrappedKeyName } from "../../src/tpm/public-area.ts";
import { type Swtpm, startSwtpm } from "../support/swtpm.ts";
import { thrownBy } from "../support/thrown.ts";
import { hmacSha256, leftInTpm, withTpm, wrappedIn } from "../support/tpm.ts";
import { commandCode, startTpmProxy } from "../support/tpm-proxy.ts";

const handle = 0x8100_0100;
const nothing = { ours: [] };

let swtpm: Swtpm;
beforeEach(async () => {
  swtpm = await startSwtpm();
});
afterEach(() => swtpm.stop());

const signs = async (key: Buffer): Promise<boolean> => {
  const data = Buffer.from("who are you");
  const signature = await withTpm({ tcti: swtpm.tcti }, (tpm) => tpm.signWithHandle(handle, data));
  return signature.equals(hmacSha256(key, data));
};

describe("a persistent key", () => {
  it("is read back by tpm2_readpublic under the name that it has in its wrapped form, and is marked as ours", async () => {
    const wrapped = await withTpm({ tcti: swtpm.tcti }, async (tpm) => {
      const key = await wrappedIn(tpm, randomBytes(32));
      expect(await tpm.occupant(handle)).toBeUndefined();
      await tpm.persist(key, handle, nothing);
      expect(await tpm.occupant(handle)).toEqual({
        name: tpm.nameOf(key),
        isMarkedOurs: true,
        isHmacKey: true,
      });
      return key;
    });
    const name = wrappedKeyName(wrapped).toString("hex");
    expect(await swtpm.tool("tpm2_readpublic", "-c", "0x81000100")).toContain(`name: ${name}`);
    const marker = join(swtpm.directory, "marker");
    await swtpm.tool("tpm2_nvread", "0x1800100", "-o", marker);
    expect(await readFile(marker, "hex")).toBe(name);
    expect(await leftInTpm(swtpm)).toBe("");
  });

  it("is replaced by the next one, which only its wrapped form or its marker allows", async () => {
    const [first, second, third] = [randomBytes(32), randomBytes(32), randomBytes(32)];
    await withTpm({ tcti: swtpm.tcti }, async (tpm) => {
      const wrapped = await wrappedIn(tpm, first);
      await tpm.persist(wrapped, handle, nothing);
      await tpm.persist(await wrappedIn(tpm, second), handle, { ours: [wrapped] });
    });
    expect(await signs(second)).toBe(true);

    // The state is lost: the marker alone says that the key is ours.
    await withTpm({ tcti: swtpm.tcti }, async (tpm) => {
      await tpm.requireOwnHandle(handle, nothing);
      await tpm.persist(await wrappedIn(tpm, third), handle, nothing);
    });
    expect(await signs(third)).toBe(true);
  });

  it("stays when it is the same key again", async () => {
    await withTpm({ tcti: swtpm.tcti }, async (tpm) => {
      const wrapped = await wrappedIn(tpm, randomBytes(32));
      await tpm.persist(wrapped, handle, nothing);
      await tpm.persist(wrapped, handle, nothing);
      expect((await tpm.occupant(handle))?.name).toEqual(tpm.nameOf(wrapped));
    });
  });

  it("is evicted together with its marker", async () => {
    await withTpm({ tcti: swtpm.tcti }, async (tpm) => {
      await tpm.persist(await wrappedIn(tpm, randomBytes(32)), handle, nothing);
      expect(await tpm.evict(handle, nothing)).toBe(true);
      expect(await tpm.evict(handle, nothing)).toBe(false);
      expect(await tpm.occupant(handle)).toBeUndefined();
    });
    expect(await swtpm.tool("tpm2_getcap", "handles-nv-index")).toBe("");
  });
});

describe("a power cut while a key replaces another", () => {
  // Before the n-th command reaches the TPM, and after the n-th was done but not answered.
  it.each(["before", "after"])(
    "%s any command is mended by asking again",
    { timeout: 60_000 },
    async (when) => {
      await using proxy = await startTpmProxy(swtpm);
      const trouble = when === "before" ? "hang up" : "lose the response";
      let cuts = 0;
      for (let survived = false; !survived; cuts++) {
        const [oldKey, nextKey] = [randomBytes(32), randomBytes(32)];
        const { old, next } = await withTpm({ tcti: proxy.tcti }, async (tpm) => {
          const keys = { old: await wrappedIn(tpm, oldKey), next: await wrappedIn(tpm, nextKey) };
          await tpm.persist(keys.old, handle, nothing);
          return keys;
        });

        proxy.inject({ from: cuts + 1, trouble });
        survived = await withTpm({ tcti: proxy.tcti }, (tpm) =>
          tpm.persist(next, handle, { ours: [old] }),
        ).then(
          () => true,
          () => false,
        );

        proxy.heal();
        await swtpm.kill();
        await swtpm.restart();
        // The state that knew the old key is lost too: the marker must do.
        await withTpm({ tcti: proxy.tcti }, (tpm) => tpm.persist(next, handle, nothing));
        expect(await signs(nextKey)).toBe(true);
      }
      expect(cuts).toBeGreaterThan(10);
    },
  );
});

describe("an object of somebody else", () => {
  it.each(["-G hmac", "-G aes128cfb", "-G ecc"])(
    "made with tpm2_create %s is never evicted",
    async (kind) => {
      await swtpm.tool("tpm2_createprimary", "-C", "o", "-c", "parent.ctx");
      await swtpm.tool(
        "tpm2_create",
        "-C",
        "parent.ctx",
        ...kind.split(" "),
        "-u",
        "key.pub",
        "-r",
        "key.priv",
      );
      await swtpm.tool("tpm2_flushcontext", "-t");
      await swtpm.tool("tpm2_load", "-C", "parent.ctx", "-u", "key.pub", "-r", "key.priv", "-c", "key.ctx");
      await swtpm.tool("tpm2_evictcontrol", "-C", "o", "-c", "key.ctx", "0x81000100");
      await swtpm.tool("tpm2_flushcontext", "-t");
      const before = await swtpm.tool("tpm2_readpublic", "-c", "0x81000100");

      await withTpm({ tcti: swtpm.tcti }, async (tpm) => {
        const mine = await wrappedIn(tpm, randomBytes(32));
        const another = await wrappedIn(tpm, randomBytes(32));
        const attempts = [
          () => tpm.persist(mine, handle, { ours: [another, randomBytes(210)] }),
          () => tpm.evict(handle, { ours: [mine] }),
          () => tpm.requireOwnHandle(handle, { ours: [mine] }),
        ];
        for (const attempt of attempts) {
          expect((await thrownBy(attempt)).code).toBe("ERR_TPM_HANDLE_OCCUPIED");
        }
        expect((await tpm.occupant(handle))?.isHmacKey).toBe(kind === "-G hmac");
      });

      expect(await swtpm.tool("tpm2_readpublic", "-c", "0x81000100")).toBe(before);
      expect(await swtpm.tool("tpm2_getcap", "handles-nv-index")).toBe("");
      expect(await leftInTpm(swtpm)).toBe("");
    },
  );

  it("that took the place of our evicted key is not mistaken for ours, although our marker is there", async () => {
    await withTpm({ tcti: swtpm.tcti }, async (tpm) =>
      tpm.persist(await wrappedIn(tpm, randomBytes(32)), handle, nothing),
    );
    await swtpm.tool("tpm2_evictcontrol", "-C", "o", "-c", "0x81000100");
    await swtpm.tool("tpm2_createprimary", "-C", "o", "-G", "ecc", "-c", "foreign.ctx");
    await swtpm.tool("tpm2_evictcontrol", "-C", "o", "-c", "foreign.ctx", "0x81000100");
    await swtpm.tool("tpm2_flushcontext", "-t");

    await withTpm({ tcti: swtpm.tcti }, async (tpm) => {
      const error = await thrownBy(async () =>
        tpm.persist(await wrappedIn(tpm, randomBytes(32)), handle, nothing),
      );
      expect(error.code).toBe("ERR_TPM_HANDLE_OCCUPIED");
    });
  });
});

describe("a marker that cannot be written", () => {
  const events: string[] = [];
  const log: Log = { ...silentLog, warn: (event) => void events.push(event) };
  it("because the TPM is full does not keep the key from being persistent", async () => {
    await using proxy = await startTpmProxy(swtpm);
    const rcNvSpace = 0x14b;
    proxy.inject({ command: commandCode.nvDefineSpace, trouble: { answer: rcNvSpace } });
    await withTpm({ tcti: proxy.tcti, log }, async (tpm) => {
      await tpm.persist(await wrappedIn(tpm, randomBytes(32)), handle, nothing);
      expect(await tpm.occupant(handle)).toMatchObject({ isMarkedOurs: false, isHmacKey: true });
    });
    expect(events).toEqual(["tpm.key-not-marked"]);
  });

  const persistOne = (): Promise<Buffer> =>
    withTpm({ tcti: swtpm.tcti, log }, async (tpm) => {
      const wrapped = await wrappedIn(tpm, randomBytes(32));
      await tpm.persist(wrapped, handle, nothing);
      expect((await tpm.occupant(handle))?.isMarkedOurs).toBe(false);
      return wrapped;
    });

  beforeEach(() => {
    events.length = 0;
  });

  it("because its index is another program's leaves that as it is, and the key is persistent nevertheless", async () => {
    await swtpm.tool(
      "tpm2_nvdefine",
      "0x1800100",
      "-C",
      "o",
      "-s",
      "34",
      "-a",
      "ownerread|ownerwrite|authread|authwrite",
    );
    await writeFile(join(swtpm.directory, "content"), Buffer.alloc(34, 7));
    await swtpm.tool("tpm2_nvwrite", "0x1800100", "-C", "o", "-i", "content");

    const wrapped = await persistOne();

    expect(events).toEqual(["tpm.key-not-marked"]);
    expect(await swtpm.tool("tpm2_readpublic", "-c", "0x81000100")).toContain(
      wrappedKeyName(wrapped).toString("hex"),
    );
    await swtpm.tool("tpm2_nvread", "0x1800100", "-C", "o", "-o", "read");
    expect(await readFile(join(swtpm.directory, "read"), "hex")).toBe("07".repeat(34));
    // Unmarked, only its wrapped form proves that it is ours.
    await withTpm({ tcti: swtpm.tcti }, async (tpm) => {
      expect((await thrownBy(() => tpm.evict(handle, nothing))).code).toBe("ERR_TPM_HANDLE_OCCUPIED");
      expect(await tpm.evict(handle, { ours: [wrapped] })).toBe(true);
    });
  });
});
