// A file of the bundle, loaded together with what earlier runs of it compiled. Node's own cache is written when a file is
// loaded, before anything in it ran: it holds hardly a function, and each start compiles the same hundreds again.
// V8 lets a script's code be kept after it ran (`vm.Script`, createCachedData), as browsers do.

import { createHash } from "node:crypto";
import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { basename, dirname } from "node:path";
import { Script } from "node:vm";
import { makeDirectories } from "./directories.ts";

export interface Warm {
  readonly exports: unknown;
  /** Whether kept code was used. */
  readonly isWarm: boolean;
  /** Keeps what is compiled by now, unless that was used. Never throws: where nothing can be kept, it takes longer. */
  keep(): void;
}

/**
 * Runs a CommonJS file of plain ASCII. `directory` is where its code is kept: who can write there can make this program
 * do anything, as with Node's own cache. Throws what reading or running the file throws.
 */
export function loadWarm(file: string, directory: string): Warm {
  const source = readFileSync(file);
  const place = `${directory}/${basename(file)}-${process.version}-${process.arch}`;
  const kept = readKept(place, source);
  const script = new Script(
    `(function (exports, require, module, __filename, __dirname) {${source.toString("latin1")}\n})`,
    {
      filename: file,
      ...(kept && { cachedData: kept }),
    },
  );
  const module = { exports: {} };
  script.runInThisContext()(module.exports, createRequire(file), module, file, dirname(file));
  const isWarm = kept !== undefined && script.cachedDataRejected === false;
  const keep = (): void => {
    if (!isWarm) writeKept(place, source, script.createCachedData());
  };
  return { exports: module.exports, isWarm, keep };
}

/** V8 looks at its own version and flags, but only at the length of the source and not at damage: this looks at both. */
const vouch = (source: Uint8Array, code: Uint8Array): Buffer =>
  createHash("sha256").update(source).update(code).digest();

function readKept(place: string, source: Uint8Array): Buffer | undefined {
  try {
    const content = readFileSync(place);
    const [voucher, code] = [content.subarray(0, 32), content.subarray(32)];
    return voucher.equals(vouch(source, code)) ? code : undefined;
  } catch {
    return undefined;
  }
}

/** Two that write at once may spoil each other's; that is seen when it is read. */
function writeKept(place: string, source: Uint8Array, code: Uint8Array): void {
  try {
    makeDirectories(dirname(place));
    writeFileSync(`${place}.new`, Buffer.concat([vouch(source, code), code]), { mode: 0o600 });
    renameSync(`${place}.new`, place);
  } catch {
    // The next run compiles again.
  }
}
