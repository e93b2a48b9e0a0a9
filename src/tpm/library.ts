// The bridge to native/: finds libmooring-tpm.so, loads it when a TPM is opened for the first time and not before,
// and calls it on libuv's thread pool. The only file that names ffi-napi.

import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { MooringError } from "../errors.ts";
import { nativePlaces } from "../system/native-file.ts";

const fileName = "libmooring-tpm.so";

// mooring-tpm.h in the words of the FFI. The verbs run on a thread and return a response code.
const verbs = {
  open: ["pointer", "pointer", "pointer", "uint32", "pointer", "uint32"],
  describe: ["pointer", "pointer"],
  read_public: ["pointer", "uint32", "pointer", "pointer"],
  endorsement_key: ["pointer", "pointer", "pointer"],
  storage_root_key: ["pointer", "pointer", "pointer"],
  create_endorsement_key: ["pointer", "uint32"],
  create_storage_root_key: ["pointer", "uint32"],
  endorsement_certificate: ["pointer", "pointer", "pointer"],
  activate: ["pointer", "pointer", "uint32", "pointer", "pointer"],
  sign: ["pointer", "pointer", "uint32", "pointer", "uint32", "pointer"],
  sign_with_handle: ["pointer", "uint32", "pointer", "uint32", "pointer"],
  persist: ["pointer", "pointer", "uint32", "uint32"],
  evict: ["pointer", "uint32", "pointer"],
  read_marker: ["pointer", "uint32", "pointer"],
  write_marker: ["pointer", "uint32", "pointer"],
  remove_marker: ["pointer", "uint32"],
  flush_leftovers: ["pointer"],
} as const;

export type Verb = keyof typeof verbs;

/** A pointer (a Buffer, kept alive during the call) or a uint32. */
export type Argument = Buffer | number;

/** `struct mooring_tpm` on the C side. */
export type Context = Buffer;

export interface TpmLibrary {
  /** `timeoutMs`: for one command; making a key may take six times as long. The handles are those of EK and SRK. */
  newContext(timeoutMs: number, endorsementKey: number, storageRootKey: number): Context;
  /** Calls `mooring_tpm_VERB(context, …)` off the event loop; resolves to its response code. */
  call(verb: Verb, context: Context, ...args: readonly Argument[]): Promise<number>;
  /** Ends the call under way, within a second and whatever the TPM does; holds until `resume`. */
  cancel(context: Context): void;
  resume(context: Context): void;
  /** The last command that was sent (TPM_CC; 0 when there was none yet), and how long the TPM may take over it. */
  lastCommand(context: Context): { readonly command: number; readonly limitMs: number };
  closeContext(context: Context): Promise<void>;
  explain(rc: number): string;
}

type Callback = (error: Error | null, result: unknown) => void;
interface ForeignFunction {
  (...args: readonly unknown[]): unknown;
  async(...args: readonly [...unknown[], Callback]): void;
}
type Signatures = Record<string, readonly [result: string, args: readonly string[]]>;
interface Ffi {
  Library(path: string, signatures: Signatures): Record<string, ForeignFunction>;
}

let loaded: TpmLibrary | undefined;

/** Loads the library once per process. Throws ERR_TPM_LIBRARY. */
export function tpmLibrary(): TpmLibrary {
  loaded ??= bind(libraryPath());
  return loaded;
}

function libraryPath(): string {
  const named = process.env["MOORING_TPM_LIBRARY"];
  const places = named ? [named] : nativePlaces(fileName);
  const found = places.find((place) => existsSync(place));
  if (found) return found;
  throw new MooringError("ERR_TPM_LIBRARY", `${fileName} is not at ${places.join(", nor at ")}`);
}

function bind(path: string): TpmLibrary {
  silenceTss();
  const functions = load(path);
  const get = (name: string): ForeignFunction => functions[`mooring_tpm_${name}`] as ForeignFunction;
  return {
    newContext: (timeoutMs, endorsementKey, storageRootKey) => {
      const context = get("new")() as Context;
      get("set_timeout")(context, timeoutMs);
      get("set_root_keys")(context, endorsementKey, storageRootKey);
      return context;
    },
    call: (verb, context, ...args) => callAsync(get(verb), [context, ...args]) as Promise<number>,
    cancel: (context) => void get("cancel")(context),
    resume: (context) => void get("resume")(context),
    lastCommand: (context) => {
      const [command, limitMs] = [Buffer.alloc(4), Buffer.alloc(4)];
      get("last_command")(context, command, limitMs);
      return { command: hostUint32(command), limitMs: hostUint32(limitMs) };
    },
    closeContext: async (context) => {
      await callAsync(get("close"), [context]);
    },
    explain: (rc) => {
      const text = Buffer.alloc(512);
      get("explain")(rc, text, text.length);
      return text.toString("utf8", 0, text.indexOf(0));
    },
  };
}

const hostUint32 = (bytes: Buffer): number => new Uint32Array(bytes.buffer, bytes.byteOffset, 1)[0] ?? 0;

function load(path: string): Record<string, ForeignFunction> {
  const signatures: Record<string, readonly [string, readonly string[]]> = {
    mooring_tpm_new: ["pointer", []],
    mooring_tpm_close: ["void", ["pointer"]],
    mooring_tpm_set_timeout: ["void", ["pointer", "uint32"]],
    mooring_tpm_set_root_keys: ["void", ["pointer", "uint32", "uint32"]],
    mooring_tpm_cancel: ["void", ["pointer"]],
    mooring_tpm_resume: ["void", ["pointer"]],
    mooring_tpm_last_command: ["void", ["pointer", "pointer", "pointer"]],
    mooring_tpm_explain: ["void", ["uint32", "pointer", "uint32"]],
  };
  for (const [verb, args] of Object.entries(verbs)) signatures[`mooring_tpm_${verb}`] = ["uint32", args];
  try {
    const require = createRequire(import.meta.url);
    const ffi = require("ffi-napi") as Ffi;
    return ffi.Library(path, signatures);
  } catch (cause) {
    throw new MooringError("ERR_TPM_LIBRARY", `cannot load ${path}`, { cause, path });
  }
}

/** The arguments stay referenced until the answer is there: the thread reads and writes their memory meanwhile. */
function callAsync(fn: ForeignFunction, args: readonly Argument[]): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const kept = [...args];
    fn.async(...kept, (error, result) => {
      kept.length = 0;
      if (error) reject(error);
      else resolve(result);
    });
  });
}

// tpm2-tss writes what it thinks of failures to standard error, one line a layer, where they would break our own
// output; the response code says it all. Who wants its view sets TSS2_LOG, which is then left alone.
function silenceTss(): void {
  process.env["TSS2_LOG"] ??= "all+none";
}
