// The TPM as an identity: its endorsement key says who this device is, its storage root key where keys for it go.

import { createHash } from "node:crypto";
import type { Log } from "../system/log.ts";
import { Secret } from "../system/secret.ts";
import { deviceNode, nodeIsThere } from "../tpm/device-node.ts";
import type { RootKeyHandles } from "../tpm/handles.ts";
import { nameOfPublic } from "../tpm/public-area.ts";
import { openTpm, type Tpm } from "../tpm/tpm.ts";
import { readSecretFile } from "./files.ts";

export interface TpmSettings {
  readonly tcti: string;
  /** Persistent handles of EK and SRK; the usual ones when absent. */
  readonly rootKeyHandles?: RootKeyHandles;
  /** `unique` of the EK and SRK templates when they have to be created. */
  readonly template?: "zeros" | "empty";
  /** Files with the authorization values of the hierarchies; one trailing line end is not part of them. */
  readonly ownerAuthFile?: string;
  readonly endorsementAuthFile?: string;
  /** How long the TPM may take over one command. */
  readonly timeoutMs?: number;
}

export interface TpmIdentity {
  readonly source: "tpm";
  readonly attestation: "tpm";
  readonly registrationId: string;
  /** Hex SHA-256 of the EK's TPM2B_PUBLIC: what the registration id is derived from. */
  readonly publicKeySha256: string;
  /** TPM2B_PUBLIC, 316 bytes. */
  readonly endorsementKey: Buffer;
  /** TPM2B_PUBLIC, 284 bytes. */
  readonly storageRootKey: Buffer;
  /** Hex Names of both keys, as `tpm2_readpublic` prints them. */
  readonly names: { readonly endorsementKey: string; readonly storageRootKey: string };
  /** Open; the identity's owner closes it. */
  readonly tpm: Tpm;
}

/** Whether a TPM can be expected behind a TCTI: the device node exists, or something other than a node is named. */
export function tpmIsThere(tcti: string): boolean {
  const path = deviceNode(tcti);
  return path === undefined || nodeIsThere(path);
}

/**
 * Opens the TPM and reads its EK and SRK, which are created when missing. Throws ERR_IDENTITY_UNREADABLE for an
 * authorization file, and what `openTpm`, `Tpm` and `nameFor` throw.
 */
export async function openTpmIdentity(
  options: TpmSettings & {
    /** Gives the registration id, when it is not to be derived from the endorsement key. */
    readonly nameFor?: (endorsementKeySha256: string) => Promise<string> | undefined;
    readonly log: Log;
    /** Ends whatever the TPM is at, as long as the identity is open. */
    readonly signal?: AbortSignal | undefined;
  },
): Promise<TpmIdentity> {
  const { tcti, rootKeyHandles, log, timeoutMs, signal } = options;
  const ownerAuth = readAuth(options.ownerAuthFile, "the owner authorization", log);
  const endorsementAuth = readAuth(options.endorsementAuthFile, "the endorsement authorization", log);
  const tpm = await openTpm({
    tcti,
    rootKeyHandles,
    ownerAuth,
    endorsementAuth,
    uniqueForm: options.template ?? "zeros",
    timeoutMs,
    log,
    signal,
  });
  try {
    // The storage root key first: when both are missing, the session that creates the second is salted to it.
    const storageRootKey = await tpm.storageRootKey();
    const endorsementKey = await tpm.endorsementKey();
    const publicKeySha256 = createHash("sha256").update(endorsementKey).digest("hex");
    return {
      source: "tpm",
      attestation: "tpm",
      registrationId: (await options.nameFor?.(publicKeySha256)) ?? tpmRegistrationIdOf(publicKeySha256),
      publicKeySha256,
      endorsementKey,
      storageRootKey,
      names: {
        endorsementKey: nameOfPublic(endorsementKey).toString("hex"),
        storageRootKey: nameOfPublic(storageRootKey).toString("hex"),
      },
      tpm,
    };
  } catch (error) {
    await tpm.close();
    throw error;
  } finally {
    ownerAuth?.wipe();
    endorsementAuth?.wipe();
  }
}

function readAuth(file: string | undefined, what: string, log: Log): Secret | undefined {
  if (file === undefined) return undefined;
  const content = readSecretFile(file, what, log).reveal();
  const lineEnd = content.at(-1) === 0x0a ? (content.at(-2) === 0x0d ? 2 : 1) : 0;
  return new Secret(content.subarray(0, content.length - lineEnd));
}

/** The registration id that Azure's tools give to a TPM: lower-case base32 of SHA-256 of the EK's TPM2B_PUBLIC. */
export const tpmRegistrationId = (endorsementKey: Uint8Array): string =>
  base32(createHash("sha256").update(endorsementKey).digest());

/** The same from the hash, hex, as assignments keep it. */
export const tpmRegistrationIdOf = (endorsementKeySha256: string): string =>
  base32(Buffer.from(endorsementKeySha256, "hex"));

/** RFC 4648, section 6, in lower case and without padding. */
function base32(bytes: Buffer): string {
  const alphabet = "abcdefghijklmnopqrstuvwxyz234567";
  let text = "";
  let bits = 0;
  let value = 0;
  for (const byte of bytes) {
    value = (value << 8) | byte;
    bits += 8;
    while (bits >= 5) {
      bits -= 5;
      text += alphabet[(value >>> bits) & 31];
    }
    value &= (1 << bits) - 1;
  }
  return bits > 0 ? text + alphabet[(value << (5 - bits)) & 31] : text;
}
