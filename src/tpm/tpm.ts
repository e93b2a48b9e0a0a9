// The TPM as the rest of the program sees it: a device that has an endorsement key, turns the service's authentication
// keys into keys of its own, and signs with them. Nothing but persistent keys stays in it between calls.

import type { Log } from "../system/log.ts";
import type { Secret } from "../system/secret.ts";
import { type Connection, connect } from "./connection.ts";
import { describeFacts, factsSize, type TpmDescription } from "./description.ts";
import {
  evictOwned,
  findOccupant,
  findOwnOccupant,
  type Occupant,
  type OwnershipCommands,
  type OwnershipOptions,
  persistOwned,
} from "./ownership.ts";
import { wrappedKeyName } from "./public-area.ts";
import { ownRc, rcNvSpace } from "./response-codes.ts";

export interface TpmOptions {
  /** How to reach the TPM, such as `device:/dev/tpmrm0` or `swtpm:path=SOCKET`. */
  readonly tcti: string;
  /** Authorization values of the owner and endorsement hierarchies, when they have any. */
  readonly ownerAuth?: Secret | undefined;
  readonly endorsementAuth?: Secret | undefined;
  /** `unique` of the templates when EK and SRK have to be created; the two forms make different keys. */
  readonly uniqueForm?: "zeros" | "empty";
  readonly log: Log;
}

/**
 * An open TPM. Calls may overlap; they are served in turn. Every method can throw ERR_TPM_UNAVAILABLE (the connection
 * is lost: open it anew), ERR_TPM_BUSY, ERR_TPM_LOCKOUT, ERR_TPM_AUTHORIZATION (never retried) and ERR_TPM_COMMAND.
 */
export interface Tpm {
  describe(): Promise<TpmDescription>;
  /** TPM2B_PUBLIC of the EK, 316 bytes; made and kept at 0x81010001 when missing. ERR_TPM_HANDLE_OCCUPIED. */
  endorsementKey(): Promise<Buffer>;
  /** TPM2B_PUBLIC of the SRK, 284 bytes; made and kept at 0x81000001 when missing. ERR_TPM_HANDLE_OCCUPIED. */
  storageRootKey(): Promise<Buffer>;
  /** The manufacturer's certificate of the EK, DER, when the TPM carries one. */
  endorsementCertificate(): Promise<Buffer | undefined>;
  /**
   * The service's authentication key as a wrapped key (TPM2B_PUBLIC ‖ TPM2B_PRIVATE), which only this TPM can use.
   * Needs EK and SRK in place. ERR_TPM_KEY_REJECTED.
   */
  activate(authenticationKey: Uint8Array): Promise<Buffer>;
  /** HMAC-SHA256, 32 bytes. ERR_TPM_KEY_REJECTED. */
  sign(wrappedKey: Uint8Array, data: Uint8Array): Promise<Buffer>;
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

// Capacities of native/mooring-tpm.h; NV indices are at most 64 KiB.
const capacity = { publicArea: 1024, wrappedKey: 4096, certificate: 65_536, name: 34, hmac: 32 } as const;
const uniqueForms = { zeros: 0, empty: 1 } as const;

/** Throws ERR_TPM_LIBRARY, ERR_TPM_UNAVAILABLE, ERR_TPM_PERMISSION, ERR_TPM_BUSY. */
export async function openTpm(options: TpmOptions): Promise<Tpm> {
  const connection = await connect(options);
  const { exclusively } = connection;
  const commands = commandsOf(connection);
  const rootKey = (which: RootKey): Promise<Buffer> =>
    exclusively(() => findOrCreate(connection, which, options));

  return {
    describe: () =>
      exclusively(async () => {
        const facts = Buffer.alloc(factsSize);
        await connection.call("describe", [facts], { attempted: "cannot read the TPM's properties" });
        return describeFacts(facts);
      }),
    endorsementKey: () => rootKey(rootKeys.endorsement),
    storageRootKey: () => rootKey(rootKeys.storage),
    endorsementCertificate: () => exclusively(() => readCertificate(connection)),
    activate: (authenticationKey) => exclusively(() => activate(connection, authenticationKey)),
    sign: (wrappedKey, data) =>
      exclusively(async () => {
        const hmac = Buffer.alloc(capacity.hmac);
        const attempt = { attempted: "cannot sign with the wrapped key", usesKey: true };
        await connection.call("sign", [...sized(wrappedKey), ...sized(data), hmac], attempt);
        return hmac;
      }),
    signWithHandle: (handle, data) =>
      exclusively(async () => {
        const hmac = Buffer.alloc(capacity.hmac);
        const attempt = { attempted: `cannot sign with the key at ${hex(handle)}` };
        await connection.call("sign_with_handle", [handle, ...sized(data), hmac], attempt);
        return hmac;
      }),
    occupant: (handle) => exclusively(() => findOccupant(commands, handle)),
    requireOwnHandle: (handle, own) =>
      exclusively(async () => {
        await findOwnOccupant(commands, handle, own);
      }),
    persist: (wrappedKey, handle, own) =>
      exclusively(async () => {
        if (await persistOwned(commands, wrappedKey, handle, own)) return;
        options.log.warn("tpm.key-not-marked", { handle: hex(handle) });
      }),
    evict: (handle, own) => exclusively(() => evictOwned(commands, handle, own)),
    nameOf: wrappedKeyName,
    close: connection.close,
  };
}

interface RootKey {
  readonly read: "endorsement_key" | "storage_root_key";
  readonly create: "create_endorsement_key" | "create_storage_root_key";
  readonly handle: number;
  readonly title: string;
}

const rootKeys = {
  endorsement: {
    read: "endorsement_key",
    create: "create_endorsement_key",
    handle: 0x8101_0001,
    title: "endorsement key",
  },
  storage: {
    read: "storage_root_key",
    create: "create_storage_root_key",
    handle: 0x8100_0001,
    title: "storage root key",
  },
} as const satisfies Record<string, RootKey>;

async function findOrCreate(connection: Connection, key: RootKey, { uniqueForm = "zeros", log }: TpmOptions) {
  const { read, create, handle, title } = key;
  const attempted = `cannot read the ${title} at ${hex(handle)}`;
  const find = (expected: readonly number[]): Promise<Buffer | undefined> =>
    output(capacity.publicArea, (out, size) => connection.call(read, [out, size], { attempted, expected }));

  const found = await find([ownRc.absent]);
  if (found) return found;
  await connection.call(create, [uniqueForms[uniqueForm]], {
    attempted: `cannot create the ${title} at ${hex(handle)}`,
  });
  log.info("tpm.key-created", { handle: hex(handle), key: title, template: uniqueForm });
  return (await find([])) as Buffer;
}

async function readCertificate(connection: Connection): Promise<Buffer | undefined> {
  const attempt = { attempted: "cannot read the endorsement certificate", expected: [ownRc.absent] };
  const content = await output(capacity.certificate, (out, size) =>
    connection.call("endorsement_certificate", [out, size], attempt),
  );
  return content && withoutPadding(content);
}

/** Manufacturers pad the index with zeros or ones behind the certificate; DER says how long it is. */
function withoutPadding(content: Buffer): Buffer {
  const isLongSequence = content[0] === 0x30 && content[1] === 0x82 && content.length > 4;
  return isLongSequence ? content.subarray(0, 4 + content.readUInt16BE(2)) : content;
}

async function activate(connection: Connection, authenticationKey: Uint8Array): Promise<Buffer> {
  const attempt = { attempted: "cannot activate the authentication key", usesKey: true };
  const wrapped = await output(capacity.wrappedKey, (out, size) =>
    connection.call("activate", [...sized(authenticationKey), out, size], attempt),
  );
  return wrapped as Buffer;
}

function commandsOf(connection: Connection): OwnershipCommands {
  const { call } = connection;
  return {
    readPublic: (handle) =>
      output(capacity.publicArea, (out, size) =>
        call("read_public", [handle, out, size], {
          attempted: `cannot read what is at ${hex(handle)}`,
          expected: [ownRc.absent],
        }),
      ),
    readMarker: async (index) => {
      const name = Buffer.alloc(capacity.name);
      const expected = [ownRc.absent, ownRc.otherIndex];
      const rc = await call("read_marker", [index, name], {
        attempted: `cannot read the marker ${hex(index)}`,
        expected,
      });
      return rc === 0 ? name : undefined;
    },
    writeMarker: async (index, name) => {
      const expected = [ownRc.otherIndex, rcNvSpace];
      return (
        (await call("write_marker", [index, name], {
          attempted: `cannot write the marker ${hex(index)}`,
          expected,
        })) === 0
      );
    },
    removeMarker: async (index) => {
      const expected = [ownRc.absent, ownRc.otherIndex];
      await call("remove_marker", [index], { attempted: `cannot remove the marker ${hex(index)}`, expected });
    },
    evict: async (handle, name) => {
      await call("evict", [handle, name], { attempted: `cannot evict the key at ${hex(handle)}` });
    },
    persist: async (wrappedKey, handle) => {
      const attempt = { attempted: `cannot make the key persistent at ${hex(handle)}`, usesKey: true };
      await call("persist", [...sized(wrappedKey), handle], attempt);
    },
  };
}

/** The bytes that a verb wrote; undefined when it answered with an expected response code instead. */
async function output(
  size: number,
  run: (out: Buffer, written: Buffer) => Promise<number>,
): Promise<Buffer | undefined> {
  const out = Buffer.alloc(size);
  const written = Buffer.from(Uint32Array.of(size).buffer);
  const rc = await run(out, written);
  return rc === 0 ? out.subarray(0, new Uint32Array(written.buffer)[0]) : undefined;
}

/** Bytes and their length, as C takes them. A copy: the thread reads it while the caller's bytes may change. */
const sized = (bytes: Uint8Array): [Buffer, number] => [Buffer.from(bytes), bytes.length];

const hex = (value: number): string => `0x${value.toString(16)}`;
