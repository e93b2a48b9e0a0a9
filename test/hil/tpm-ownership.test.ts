import { randomBytes } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type Log, silentLog } from "../../src/system/log.ts";
import { wrappedKeyName } from "../../src/tpm/public-area.ts";
import { type Swtpm, startSwtpm } from "../support/swtpm.ts";
import { thrownBy } from "../support/thrown.ts";
import { hmacSha256, leftInTpm, withTpm, wrappedIn } from "../support/tpm.ts";

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
    expect(await swtpm.tool("xxd", "-p", "-c", "34", marker)).toBe(`${name}\n`);
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
    expect(await swtpm.tool("xxd", "-p", "-c", "34", "read")).toBe(`${"07".repeat(34)}\n`);
    // Unmarked, only its wrapped form proves that it is ours.
    await withTpm({ tcti: swtpm.tcti }, async (tpm) => {
      expect((await thrownBy(() => tpm.evict(handle, nothing))).code).toBe("ERR_TPM_HANDLE_OCCUPIED");
      expect(await tpm.evict(handle, { ours: [wrapped] })).toBe(true);
    });
  });
});
