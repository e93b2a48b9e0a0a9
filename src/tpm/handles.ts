// Where the keys live in a TPM when nobody says otherwise. Pure.

/** Persistent handles of the endorsement key and the storage root key. */
export interface RootKeyHandles {
  readonly endorsement: number;
  readonly storage: number;
}

/** Where everybody keeps them (TCG, Registry of Reserved TPM 2.0 Handles). */
export const usualRootKeyHandles: RootKeyHandles = { endorsement: 0x8101_0001, storage: 0x8100_0001 };

/** Where Azure's tools keep the key for the hub. */
export const usualHubKeyHandle = 0x8100_0100;
