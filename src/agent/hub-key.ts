// The hub key of a TPM gateway: it belongs to a generation, whose wrapped copy can put it back into the TPM at any time;
// the TPM's handle holds the one of the current generation.

import {
  forgetPersistedHubKeys,
  type Generation,
  goodGenerations,
  isHubKeyPersisted,
  markHubKeyPersisted,
  type Staged,
} from "../assignment/generations.ts";
import type { Log } from "../system/log.ts";
import type { Tpm } from "../tpm/tpm.ts";

/** Throws when the hub key does not work in this TPM. */
export async function proveHubKey(tpm: Tpm, { assignment, hubKey }: Staged): Promise<void> {
  if (hubKey) await tpm.sign(hubKey, new TextEncoder().encode(assignment.inputs));
}

/**
 * The wrapped key of the current generation goes to its persistent handle; only now does the old key leave. Before that
 * no generation says any more that the TPM holds its key: after a cut, the next start looks.
 */
export async function keepHubKey(
  tpm: Tpm,
  generation: Generation,
  stateDirectory: string,
  { log }: { log: Log },
): Promise<void> {
  const { hubKey } = generation.assignment;
  if (!hubKey || !generation.hubKey) return;
  forgetPersistedHubKeys(stateDirectory);
  await tpm.persist(generation.hubKey, hubKey.handle, { ours: ownHubKeys(stateDirectory) });
  markHubKeyPersisted(generation);
  log.debug("tpm.hub-key-persisted", { handle: `0x${hubKey.handle.toString(16)}` });
}

/** True after a cut between making the generation current and keeping its key, and when it took over from another. */
export const needsItsHubKey = (generation: Generation): boolean =>
  generation.hubKey !== undefined && !isHubKeyPersisted(generation);

/** Wrapped keys by which the TPM's keys are known to be ours. */
export const ownHubKeys = (stateDirectory: string): Uint8Array[] =>
  goodGenerations(stateDirectory).flatMap(({ hubKey }) => (hubKey ? [hubKey] : []));
