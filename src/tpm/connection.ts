// One open TPM: its context on the C side, one call at a time, response codes turned into errors.

import { MooringError } from "../errors.ts";
import type { Secret } from "../system/secret.ts";
import { openFailure } from "./device-node.ts";
import { type Argument, type Context, type TpmLibrary, tpmLibrary, type Verb } from "./library.ts";
import { isForgotten, isOutOfSlots, rcFailure, tpmError } from "./response-codes.ts";

export interface Attempt {
  /** What is tried on what, for the error's text. */
  readonly attempted: string;
  /** The command takes a key that came from outside. */
  readonly usesKey?: boolean;
  /** Response codes that the caller handles. */
  readonly expected?: readonly number[];
}

export interface Connection {
  /** Runs `act` when everything asked before is done: ESYS serves one call at a time. */
  exclusively<T>(act: () => Promise<T>): Promise<T>;
  /** Inside `exclusively`. Resolves to 0 or an expected response code; throws the MooringError of any other. */
  call(verb: Verb, args: readonly Argument[], attempt: Attempt): Promise<number>;
  close(): Promise<void>;
}

const none = Buffer.alloc(0);

/** Throws ERR_TPM_LIBRARY, ERR_TPM_UNAVAILABLE, ERR_TPM_PERMISSION, ERR_TPM_BUSY. */
export async function connect(options: {
  readonly tcti: string;
  readonly ownerAuth?: Secret | undefined;
  readonly endorsementAuth?: Secret | undefined;
}): Promise<Connection> {
  const { tcti } = options;
  const library = tpmLibrary();
  const context = library.newContext();
  const owner = options.ownerAuth?.reveal() ?? none;
  const endorsement = options.endorsementAuth?.reveal() ?? none;
  const rc = await library.call(
    "open",
    context,
    Buffer.from(`${tcti}\0`),
    owner,
    owner.length,
    endorsement,
    endorsement.length,
  );
  if (rc !== 0) {
    await library.closeContext(context);
    throw await openFailure(tcti, tpmError(rc, `cannot open the TPM through ${tcti}`, library.explain(rc)));
  }
  return connection(library, context, tcti);
}

function connection(library: TpmLibrary, context: Context, tcti: string): Connection {
  let last: Promise<unknown> = Promise.resolve();
  let closed: Promise<void> | undefined;

  const exclusively = <T>(act: () => Promise<T>): Promise<T> => {
    if (closed)
      return Promise.reject(new MooringError("ERR_TPM_UNAVAILABLE", `the TPM at ${tcti} is closed already`));
    const result = last.then(act);
    last = result.catch(() => {});
    return result;
  };

  const call: Connection["call"] = async (verb, args, { attempted, usesKey = false, expected = [] }) => {
    let rc = await library.call(verb, context, ...args);
    if (isOutOfSlots(rc) && hasNoResourceManager(tcti)) {
      await library.call("flush_leftovers", context);
      rc = await library.call(verb, context, ...args);
    } else if (isForgotten(rc)) {
      rc = await library.call(verb, context, ...args); // with a new session, since the failure ended the old one
    }
    if (rc === 0 || expected.includes(rc)) return rc;
    const keyIsToBlame = usesKey && (rc !== rcFailure || (await stillWorks()));
    throw tpmError(rc, attempted, library.explain(rc), { keyIsToBlame });
  };

  /** A TPM in failure mode answers nothing but its test result; one that merely failed to decrypt goes on. */
  const stillWorks = async (): Promise<boolean> => {
    const out = Buffer.alloc(1024);
    const size = Buffer.from(Uint32Array.of(out.length).buffer);
    return (await library.call("read_public", context, 0x8100_0001, out, size)) === 0;
  };

  const close = (): Promise<void> => {
    closed ??= last.then(() => library.closeContext(context));
    return closed;
  };

  return { exclusively, call, close };
}

/**
 * Without a resource manager, whatever fills the TPM was most likely left behind by a program that was killed; a live
 * one would have to be in the middle of a call. /dev/tpmrm0 and tabrmd clean up by themselves, and know whose is whose.
 */
const hasNoResourceManager = (tcti: string): boolean => /^(?:swtpm|mssim|device:\/dev\/tpm\d+$)/.test(tcti);
