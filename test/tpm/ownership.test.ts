import { createHash, randomBytes } from "node:crypto";
import { describe, expect, it } from "vitest";
import {
  evictOwned,
  findOccupant,
  markerIndex,
  type OwnershipCommands,
  persistOwned,
} from "../../src/tpm/ownership.ts";
import { nameOfPublic, wrappedKeyName } from "../../src/tpm/public-area.ts";
import { thrownBy } from "../support/thrown.ts";

const handle = 0x8100_0100;

/** A TPM's persistent memory, and a power supply that can be cut before or after any change of it. */
class Memory implements OwnershipCommands {
  readonly objects = new Map<number, Buffer>();
  readonly markers = new Map<number, Buffer>();
  changesLeft = Number.POSITIVE_INFINITY;
  takesMarkers = true;

  readPublic = async (at: number): Promise<Buffer | undefined> => this.objects.get(at);
  readMarker = async (index: number): Promise<Buffer | undefined> => this.markers.get(index);
  writeMarker = async (index: number, name: Buffer): Promise<boolean> => {
    if (this.takesMarkers) this.#change(() => this.markers.set(index, name));
    return this.takesMarkers;
  };
  removeMarker = async (index: number): Promise<void> => this.#change(() => this.markers.delete(index));
  evict = async (at: number, name: Buffer): Promise<void> => {
    const found = this.objects.get(at);
    expect(found && nameOfPublic(found)).toEqual(name);
    this.#change(() => this.objects.delete(at));
  };
  persist = async (wrappedKey: Uint8Array, at: number): Promise<void> => {
    expect(this.objects.has(at)).toBe(false);
    this.#change(() => this.objects.set(at, publicOf(wrappedKey)));
  };

  holds(wrappedKey: Buffer): boolean {
    return this.objects.get(handle)?.equals(publicOf(wrappedKey)) ?? false;
  }

  #change(act: () => unknown): void {
    if (this.changesLeft-- <= 0) throw new Error("power cut");
    act();
  }
}

const publicOf = (wrappedKey: Uint8Array): Buffer => Buffer.from(wrappedKey.subarray(0, 50));

function someKey(): Buffer {
  const unique = createHash("sha256").update(randomBytes(32)).digest();
  const head = Buffer.from("00300008000b000404400000" + "0005000b" + "0020", "hex");
  return Buffer.concat([head, unique, Buffer.from("0010", "hex"), randomBytes(16)]);
}

describe("ownership of a persistent handle", () => {
  it("survives a power cut at every change: repeated, the same call completes", async () => {
    for (let changes = 0; changes <= 4; changes++) {
      const tpm = new Memory();
      const [old, next] = [someKey(), someKey()];
      await persistOwned(tpm, old, handle, { ours: [] });

      tpm.changesLeft = changes;
      await persistOwned(tpm, next, handle, { ours: [old] }).catch(() => {});
      tpm.changesLeft = Number.POSITIVE_INFINITY;
      await persistOwned(tpm, next, handle, { ours: [old] });

      expect(tpm.holds(next)).toBe(true);
      expect((await findOccupant(tpm, handle))?.isMarkedOurs).toBe(true);
    }
  });

  it("survives a power cut at every change even when the state is lost with it", async () => {
    for (let changes = 0; changes <= 4; changes++) {
      const tpm = new Memory();
      const [old, next, last] = [someKey(), someKey(), someKey()];
      await persistOwned(tpm, old, handle, { ours: [] });

      tpm.changesLeft = changes;
      await persistOwned(tpm, next, handle, { ours: [old] }).catch(() => {});
      tpm.changesLeft = Number.POSITIVE_INFINITY;
      await persistOwned(tpm, last, handle, { ours: [] });

      expect(tpm.holds(last)).toBe(true);
    }
  });

  it("is never claimed for a stranger's object, whatever was cut before it came", async () => {
    for (let changes = 0; changes <= 4; changes++) {
      const tpm = new Memory();
      const [old, next, stranger] = [someKey(), someKey(), someKey()];
      await persistOwned(tpm, old, handle, { ours: [] });
      tpm.changesLeft = changes;
      await persistOwned(tpm, next, handle, { ours: [old] }).catch(() => {});
      tpm.changesLeft = Number.POSITIVE_INFINITY;
      tpm.objects.set(handle, publicOf(stranger));

      for (const act of [
        persistOwned(tpm, next, handle, { ours: [old] }),
        evictOwned(tpm, handle, { ours: [old, next] }),
      ]) {
        expect((await thrownBy(() => act)).code).toBe("ERR_TPM_HANDLE_OCCUPIED");
      }
      expect(tpm.holds(stranger)).toBe(true);
    }
  });

  it("is told from the caller's wrapped keys when the TPM takes no marker; damaged ones count for nothing", async () => {
    const tpm = new Memory();
    tpm.takesMarkers = false;
    const [old, next] = [someKey(), someKey()];
    expect(await persistOwned(tpm, old, handle, { ours: [] })).toBe(false);

    const damaged = [Buffer.alloc(0), old.subarray(0, 60), randomBytes(68)];
    const refused = await thrownBy(() => persistOwned(tpm, next, handle, { ours: damaged }));
    expect(refused.code).toBe("ERR_TPM_HANDLE_OCCUPIED");
    expect(refused.message).toContain(wrappedKeyName(old).toString("hex"));
    expect(await persistOwned(tpm, next, handle, { ours: [...damaged, old] })).toBe(false);
    expect(tpm.holds(next)).toBe(true);
  });

  it("marks a key that was persisted before without a mark", async () => {
    const tpm = new Memory();
    const key = someKey();
    tpm.takesMarkers = false;
    await persistOwned(tpm, key, handle, { ours: [] });
    tpm.takesMarkers = true;
    expect(await persistOwned(tpm, key, handle, { ours: [] })).toBe(true);
    expect((await findOccupant(tpm, handle))?.isMarkedOurs).toBe(true);
  });

  it("has a marker of its own for each handle, in the owner's range of NV indices", () => {
    expect(markerIndex(0x8100_0100)).toBe(0x0180_0100);
    expect(markerIndex(0x8100_0101)).toBe(0x0180_0101);
    expect(markerIndex(0x8100_ffff)).toBe(0x0180_ffff);
    expect(markerIndex(0x817f_ffff)).toBe(0x01bf_ffff);
  });
});
