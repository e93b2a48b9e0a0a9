// One open TPM: its context on the C side, one call at a time, response codes turned into errors.

import { MooringError } from "../errors.ts";
import type { Secret } from "../system/secret.ts";
import { hex } from "./arguments.ts";
import { describeFacts, factsSize, type TpmDescription } from "./description.ts";
import { openFailure } from "./device-node.ts";
import { type RootKeyHandles, usualRootKeyHandles } from "./handles.ts";
import { type Argument, type Context, type TpmLibrary, tpmLibrary, type Verb } from "./library.ts";
import { lockoutError } from "./lockout.ts";
import { isForgotten, isOutOfSlots, ownRc, rcFailure, tpmError } from "./response-codes.ts";
import { cancellable, delayed, type Waiting } from "./waiting.ts";

export interface Attempt {
  /** What is tried on what, for the error's text. */
  readonly attempted: string;
  /** The command takes a key that came from outside. */
  readonly usesKey?: boolean;
  /** Response codes that the caller handles. */
  readonly expected?: readonly number[];
}

export interface Connection {
  readonly rootKeyHandles: RootKeyHandles;
  /** Runs `act` when everything asked before is done: ESYS serves one call at a time. */
  exclusively<T>(act: () => Promise<T>, options?: ExclusiveOptions): Promise<T>;
  /** Inside `exclusively`. Resolves to 0 or an expected response code; throws the MooringError of any other. */
  call(verb: Verb, args: readonly Argument[], attempt: Attempt): Promise<number>;
  close(): Promise<void>;
}

interface ExclusiveOptions extends Waiting {
  /** Several commands that belong together: when the signal comes between them, they may be finished if that is quick. */
  readonly isTransaction?: boolean;
}

export interface ConnectOptions extends Waiting {
  /** How to reach the TPM, such as `device:/dev/tpmrm0` or `swtpm:path=SOCKET`. */
  readonly tcti: string;
  /** Authorization values of the owner and endorsement hierarchies, when they have any. */
  readonly ownerAuth?: Secret | undefined;
  readonly endorsementAuth?: Secret | undefined;
  /** Where EK and SRK are, if not at their usual handles. */
  readonly rootKeyHandles?: RootKeyHandles | undefined;
  /** How long the TPM may take over one command, 30 s if not given; making a key may take six times as long. */
  readonly timeoutMs?: number | undefined;
}

const none = Buffer.alloc(0);

/** Throws ERR_TPM_LIBRARY, ERR_TPM_UNAVAILABLE, ERR_TPM_PERMISSION, ERR_TPM_BUSY, ERR_TPM_TIMEOUT. */
export async function connect(options: ConnectOptions): Promise<Connection> {
  const { tcti, timeoutMs = 30_000, rootKeyHandles = usualRootKeyHandles, signal } = options;
  const library = tpmLibrary();
  const context = library.newContext(timeoutMs, rootKeyHandles.endorsement, rootKeyHandles.storage);
  const owner = options.ownerAuth?.reveal() ?? none;
  const endorsement = options.endorsementAuth?.reveal() ?? none;
  const auth = [owner, owner.length, endorsement, endorsement.length];
  try {
    const rc = await cancellable(library, context, "open", [Buffer.from(`${tcti}\0`), ...auth], signal);
    if (rc === 0) return connection(library, context, { tcti, rootKeyHandles, signal });
    const failure = tpmError(rc, `cannot open the TPM through ${tcti}`, inWords(library, context, rc));
    throw rc === ownRc.timeout ? failure : await openFailure(tcti, failure);
  } catch (error) {
    await library.closeContext(context);
    throw error;
  }
}

function inWords(library: TpmLibrary, context: Context, rc: number): string {
  if (rc !== ownRc.timeout) return library.explain(rc);
  const { command, limitMs } = library.lastCommand(context);
  const what = command === 0 ? "" : ` command ${hex(command)}`;
  return `the TPM did not answer${what} within ${limitMs / 1000} s`;
}

function connection(
  library: TpmLibrary,
  context: Context,
  {
    tcti,
    rootKeyHandles,
    signal: whole,
  }: Waiting & Pick<ConnectOptions, "tcti"> & Pick<Connection, "rootKeyHandles">,
): Connection {
  let last: Promise<unknown> = Promise.resolve();
  let closed: Promise<void> | undefined;
  let signal = whole;

  const exclusively: Connection["exclusively"] = (act, options = {}) => {
    if (closed)
      return Promise.reject(new MooringError("ERR_TPM_UNAVAILABLE", `the TPM at ${tcti} is closed already`));
    const result = last.then(() => {
      const asked =
        options.signal && whole ? AbortSignal.any([options.signal, whole]) : (options.signal ?? whole);
      signal = options.isTransaction ? delayed(asked) : asked;
      return act();
    });
    last = result.catch(() => {});
    return result;
  };

  const run = (verb: Verb, args: readonly Argument[]): Promise<number> =>
    cancellable(library, context, verb, args, signal);

  const call: Connection["call"] = async (verb, args, { attempted, usesKey = false, expected = [] }) => {
    let rc = await run(verb, args);
    if (isOutOfSlots(rc) && hasNoResourceManager(tcti)) {
      await run("flush_leftovers", []);
      rc = await run(verb, args);
    } else if (isForgotten(rc)) {
      rc = await run(verb, args); // with a new session, since the failure ended the old one
    }
    if (rc === 0 || expected.includes(rc)) return rc;
    const keyIsToBlame = usesKey && (rc !== rcFailure || (await stillWorks()));
    const failure = tpmError(rc, attempted, inWords(library, context, rc), { keyIsToBlame });
    throw failure.code === "ERR_TPM_LOCKOUT" ? lockoutError(failure, await lockoutFacts()) : failure;
  };

  const lockoutFacts = async (): Promise<TpmDescription | undefined> => {
    const facts = Buffer.alloc(factsSize);
    return (await run("describe", [facts])) === 0 ? describeFacts(facts) : undefined;
  };

  /** A TPM in failure mode answers nothing but its test result; one that merely failed to decrypt goes on. */
  const stillWorks = async (): Promise<boolean> => {
    const out = Buffer.alloc(1024);
    const size = Buffer.from(Uint32Array.of(out.length).buffer);
    return (await run("read_public", [rootKeyHandles.storage, out, size])) === 0;
  };

  const close = (): Promise<void> => {
    closed ??= last.then(() => library.closeContext(context));
    return closed;
  };

  return { rootKeyHandles, exclusively, call, close };
}

/**
 * Without a resource manager, whatever fills the TPM was most likely left behind by a program that was killed; a live
 * one would have to be in the middle of a call. /dev/tpmrm0 and tabrmd clean up by themselves, and know whose is whose.
 */
const hasNoResourceManager = (tcti: string): boolean => /^(?:swtpm|mssim|device:\/dev\/tpm\d+$)/.test(tcti);
