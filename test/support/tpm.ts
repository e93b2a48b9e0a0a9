// Opening TPMs in tests, and telling what is left in them afterwards.

import { createHmac } from "node:crypto";
import { silentLog } from "../../src/system/log.ts";
import { openTpm, type Tpm, type TpmOptions } from "../../src/tpm/tpm.ts";
import { makeAuthenticationKey } from "./authentication-key.ts";
import type { Swtpm } from "./swtpm.ts";

/** Runs `act` with an open TPM and closes it, so that tpm2-tools can connect afterwards. */
export async function withTpm<T>(
  options: Partial<TpmOptions> & Pick<TpmOptions, "tcti">,
  act: (tpm: Tpm) => Promise<T>,
): Promise<T> {
  const tpm = await openTpm({ log: silentLog, ...options });
  try {
    return await act(tpm);
  } finally {
    await tpm.close();
  }
}

/** An authentication key that hands `key` to this TPM. */
export async function authenticationKeyFor(tpm: Tpm, key: Buffer, wrappingKey?: Buffer): Promise<Buffer> {
  const storageRootKey = await tpm.storageRootKey();
  const endorsementKey = await tpm.endorsementKey();
  return makeAuthenticationKey({ key, endorsementKey, storageRootKey, ...(wrappingKey && { wrappingKey }) });
}

/** The key, handed over and wrapped by this TPM. */
export const wrappedIn = async (tpm: Tpm, key: Buffer): Promise<Buffer> =>
  tpm.activate(await authenticationKeyFor(tpm, key));

export const hmacSha256 = (key: Buffer, data: Buffer): Buffer =>
  createHmac("sha256", key).update(data).digest();

/** What tpm2_getcap lists, as one string; empty when nothing is loaded. */
export async function leftInTpm(swtpm: Swtpm): Promise<string> {
  const transient = await swtpm.tool("tpm2_getcap", "handles-transient");
  const sessions = await swtpm.tool("tpm2_getcap", "handles-loaded-session");
  return (transient + sessions).trim();
}
