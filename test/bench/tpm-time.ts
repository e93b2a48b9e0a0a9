// What a TPM and its software stack take for the verbs of one registration, with nothing of the program around them.

import { randomBytes } from "node:crypto";
import { silentLog } from "../../src/system/log.ts";
import { openTpm } from "../../src/tpm/tpm.ts";
import { makeAuthenticationKey } from "../support/authentication-key.ts";

/** Beside the program's, so that neither sees the other's key. */
const handle = 0x8100_0101;

/** A stop-watch for the TPM behind `tcti`: does what `mooring reprovision` asks of it, and resolves to milliseconds. */
export async function tpmStopwatch(tcti: string): Promise<() => Promise<number>> {
  let ours: Buffer[] = [];
  const time = async (): Promise<number> => {
    let took = 0;
    const timed = async <T>(verb: () => Promise<T>): Promise<T> => {
      const since = performance.now();
      try {
        return await verb();
      } finally {
        took += performance.now() - since;
      }
    };
    const tpm = await timed(() => openTpm({ tcti, log: silentLog }));
    const storageRootKey = await timed(() => tpm.storageRootKey());
    const endorsementKey = await timed(() => tpm.endorsementKey());
    await timed(() => tpm.requireOwnHandle(handle, { ours }));
    const issue = (): Buffer =>
      makeAuthenticationKey({ key: randomBytes(32), endorsementKey, storageRootKey });
    const [forRegistration, forHub] = [issue(), issue()];
    const registrationKey = await timed(() => tpm.activate(forRegistration));
    await timed(() => tpm.sign(registrationKey, randomBytes(100)));
    const hubKey = await timed(() => tpm.activate(forHub));
    await timed(() => tpm.sign(hubKey, randomBytes(64)));
    await timed(() => tpm.persist(hubKey, handle, { ours }));
    await timed(() => tpm.close());
    ours = [hubKey];
    return took;
  };
  await time(); // loads the library
  return time;
}
