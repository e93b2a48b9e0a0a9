// The TPM as the rest of the program sees it: a device that has an endorsement key, turns the service's authentication
// keys into keys of its own, and signs with them. Nothing but persistent keys stays in it between calls.

import type { Log } from "../system/log.ts";
import { capacity, hex, output, sized } from "./arguments.ts";
import { type Attempt, type Connection, type ConnectOptions, connect } from "./connection.ts";
import { describeFacts, factsSize, type TpmDescription } from "./description.ts";
import type { Argument } from "./library.ts";
import {
  evictOwned,
  findOccupant,
  findOwnOccupant,
  type Occupant,
  type OwnershipOptions,
  persistOwned,
} from "./ownership.ts";
import { ownershipCommands } from "./ownership-commands.ts";
import { wrappedKeyName } from "./public-area.ts";
import { findOrCreate, readCertificate, type UniqueForm } from "./root-keys.ts";
import type { Waiting } from "./waiting.ts";

export interface TpmOptions extends ConnectOptions {
  readonly uniqueForm?: UniqueForm;
  readonly log: Log;
}

/**
 * An open TPM. Calls may overlap; they are served in turn. Every method can throw ERR_TPM_UNAVAILABLE (the connection
 * is lost: open it anew), ERR_TPM_TIMEOUT (likewise), ERR_TPM_BUSY, ERR_TPM_LOCKOUT, ERR_TPM_AUTHORIZATION (never
 * retried), ERR_TPM_COMMAND, and the reason of the signal that it was opened with, which ends whatever is under way.
 */
export interface Tpm {
  describe(): Promise<TpmDescription>;
  /** TPM2B_PUBLIC of the EK, 316 bytes; made and kept at its handle when missing. ERR_TPM_HANDLE_OCCUPIED. */
  endorsementKey(): Promise<Buffer>;
  /** TPM2B_PUBLIC of the SRK, 284 bytes; made and kept at its handle when missing. ERR_TPM_HANDLE_OCCUPIED. */
  storageRootKey(): Promise<Buffer>;
  /** The manufacturer's certificate of the EK, DER, when the TPM carries one. */
  endorsementCertificate(): Promise<Buffer | undefined>;
  /**
   * The service's authentication key as a wrapped key (TPM2B_PUBLIC ‖ TPM2B_PRIVATE), which only this TPM can use.
   * Needs EK and SRK in place. ERR_TPM_KEY_REJECTED.
   */
  activate(authenticationKey: Uint8Array, options?: Waiting): Promise<Buffer>;
  /** HMAC-SHA256, 32 bytes. ERR_TPM_KEY_REJECTED. */
  sign(wrappedKey: Uint8Array, data: Uint8Array, options?: Waiting): Promise<Buffer>;
  signWithHandle(handle: number, data: Uint8Array): Promise<Buffer>;
  occupant(handle: number): Promise<Occupant | undefined>;
  /** Passes when `persist` would: the handle is free, or holds a key of ours. ERR_TPM_HANDLE_OCCUPIED. */
  requireOwnHandle(handle: number, options: OwnershipOptions): Promise<void>;
  /** Does nothing when the key is there already; evicts only a key of ours. ERR_TPM_HANDLE_OCCUPIED, ERR_TPM_KEY_REJECTED. */
  persist(wrappedKey: Uint8Array, handle: number, options: OwnershipOptions): Promise<void>;
  /** False when the handle was free. ERR_TPM_HANDLE_OCCUPIED. */
  evict(handle: number, options: OwnershipOptions): Promise<boolean>;
  /** Name of a wrapped key, 34 bytes. ERR_TPM_KEY_REJECTED. */
  nameOf(wrappedKey: Uint8Array): Buffer;
  close(): Promise<void>;
}

/** Throws ERR_TPM_LIBRARY, ERR_TPM_UNAVAILABLE, ERR_TPM_PERMISSION, ERR_TPM_BUSY, ERR_TPM_TIMEOUT. */
export async function openTpm(options: TpmOptions): Promise<Tpm> {
  const connection = await connect(options);
  const { exclusively } = connection;
  const commands = ownershipCommands(connection);

  return {
    describe: () =>
      exclusively(async () => {
        const facts = Buffer.alloc(factsSize);
        await connection.call("describe", [facts], { attempted: "cannot read the TPM's properties" });
        return describeFacts(facts);
      }),
    endorsementKey: () => exclusively(() => findOrCreate(connection, "endorsement", options)),
    storageRootKey: () => exclusively(() => findOrCreate(connection, "storage", options)),
    endorsementCertificate: () => exclusively(() => readCertificate(connection)),
    activate: (authenticationKey, waiting) =>
      exclusively(() => activate(connection, authenticationKey), waiting),
    sign: (wrappedKey, data, waiting) => {
      const attempt = { attempted: "cannot sign with the wrapped key", usesKey: true };
      return exclusively(() => hmac(connection, "sign", sized(wrappedKey), data, attempt), waiting);
    },
    signWithHandle: (handle, data) => {
      const attempt = { attempted: `cannot sign with the key at ${hex(handle)}` };
      return exclusively(() => hmac(connection, "sign_with_handle", [handle], data, attempt));
    },
    occupant: (handle) => exclusively(() => findOccupant(commands, handle)),
    requireOwnHandle: (handle, own) =>
      exclusively(async () => {
        await findOwnOccupant(commands, handle, own);
      }),
    persist: (wrappedKey, handle, own) =>
      exclusively(
        async () => {
          if (await persistOwned(commands, wrappedKey, handle, own)) return;
          options.log.warn("tpm.key-not-marked", { handle: hex(handle) });
        },
        { isTransaction: true },
      ),
    evict: (handle, own) => exclusively(() => evictOwned(commands, handle, own), { isTransaction: true }),
    nameOf: wrappedKeyName,
    close: connection.close,
  };
}

async function activate(connection: Connection, authenticationKey: Uint8Array): Promise<Buffer> {
  const attempt = { attempted: "cannot activate the authentication key", usesKey: true };
  const wrapped = await output(capacity.wrappedKey, (out, size) =>
    connection.call("activate", [...sized(authenticationKey), out, size], attempt),
  );
  return wrapped as Buffer;
}

async function hmac(
  connection: Connection,
  verb: "sign" | "sign_with_handle",
  key: readonly Argument[],
  data: Uint8Array,
  attempt: Attempt,
): Promise<Buffer> {
  const out = Buffer.alloc(capacity.hmac);
  await connection.call(verb, [...key, ...sized(data), out], attempt);
  return out;
}
