// A key that we did not create is never evicted. Ours is what the caller proves with a wrapped key from its state, or
// what the TPM's own marker names: an NV index that holds the Name of the last key that was persisted, for the day a
// gateway is flashed anew and only its TPM remembers.
//
// The order is: evict our old key, write the marker, persist the new key. A cut after any of these leaves the handle
// free or ours, so that the same call, repeated, completes; it never makes a stranger's object look like ours.

import { MooringError } from "../errors.ts";
import { isHmacKey, nameOfPublic, wrappedKeyName } from "./public-area.ts";

/** What is at a persistent handle. */
export interface Occupant {
  readonly name: Buffer;
  /** The TPM's marker names it: this program put it there, whatever became of its state. */
  readonly isMarkedOurs: boolean;
  readonly isHmacKey: boolean;
}

export interface OwnershipOptions {
  /** Wrapped keys from the caller's state: whatever has the Name of one of them is ours. Damaged ones count for nothing. */
  readonly ours: readonly Uint8Array[];
}

/** The commands that ownership is made of. Each is one exchange with the TPM. */
export interface OwnershipCommands {
  /** TPM2B_PUBLIC of what is at the handle. */
  readPublic(handle: number): Promise<Buffer | undefined>;
  readMarker(index: number): Promise<Buffer | undefined>;
  /** False when the TPM has no room for a marker, or uses its index for something else. */
  writeMarker(index: number, name: Buffer): Promise<boolean>;
  removeMarker(index: number): Promise<void>;
  /** Evicts what is at the handle if it has that Name. */
  evict(handle: number, name: Buffer): Promise<void>;
  persist(wrappedKey: Uint8Array, handle: number): Promise<void>;
}

const ownerIndexBase = 0x0180_0000;

/** NV index of the marker of a persistent handle: 0x81000100 has 0x01800100, in the range of owner-defined indices. */
export const markerIndex = (handle: number): number => ownerIndexBase + (handle & 0x3f_ffff);

export async function findOccupant(tpm: OwnershipCommands, handle: number): Promise<Occupant | undefined> {
  const publicArea = await tpm.readPublic(handle);
  if (!publicArea) return undefined;
  const name = nameOfPublic(publicArea);
  const marked = await tpm.readMarker(markerIndex(handle));
  return { name, isMarkedOurs: marked?.equals(name) ?? false, isHmacKey: isHmacKey(publicArea) };
}

/** What is at the handle, known to be ours. Throws ERR_TPM_HANDLE_OCCUPIED when it is not. */
export async function findOwnOccupant(
  tpm: OwnershipCommands,
  handle: number,
  { ours }: OwnershipOptions,
): Promise<Occupant | undefined> {
  const occupant = await findOccupant(tpm, handle);
  if (!occupant || occupant.isMarkedOurs || namesOf(ours).some((name) => name.equals(occupant.name)))
    return occupant;
  const what = occupant.isHmacKey ? "an HMAC key" : "an object";
  throw new MooringError(
    "ERR_TPM_HANDLE_OCCUPIED",
    `TPM handle 0x${handle.toString(16)} holds ${what} that Mooring did not put there (name ${occupant.name.toString("hex")})`,
  );
}

/** Puts the key at the handle; false when it could not be marked as ours. */
export async function persistOwned(
  tpm: OwnershipCommands,
  wrappedKey: Uint8Array,
  handle: number,
  { ours }: OwnershipOptions,
): Promise<boolean> {
  const name = wrappedKeyName(wrappedKey);
  const occupant = await findOwnOccupant(tpm, handle, { ours: [...ours, wrappedKey] });
  if (occupant?.name.equals(name)) return occupant.isMarkedOurs || tpm.writeMarker(markerIndex(handle), name);
  if (occupant) await tpm.evict(handle, occupant.name);
  const marked = await tpm.writeMarker(markerIndex(handle), name);
  await tpm.persist(wrappedKey, handle);
  return marked;
}

/** Removes our key and its marker; false when the handle was free. */
export async function evictOwned(
  tpm: OwnershipCommands,
  handle: number,
  options: OwnershipOptions,
): Promise<boolean> {
  const occupant = await findOwnOccupant(tpm, handle, options);
  if (occupant) await tpm.evict(handle, occupant.name);
  await tpm.removeMarker(markerIndex(handle));
  return occupant !== undefined;
}

function namesOf(wrappedKeys: readonly Uint8Array[]): Buffer[] {
  return wrappedKeys.flatMap((key) => {
    try {
      return [wrappedKeyName(key)];
    } catch {
      return [];
    }
  });
}
