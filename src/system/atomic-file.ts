// A file is replaced whole or not at all, whatever is pulled out meanwhile: temporary file beside it with its final
// owner and mode, fsync, rename, fsync of the directory. All that Mooring writes goes through here.

import { randomBytes } from "node:crypto";
import * as fs from "node:fs";
import { basename, dirname, join } from "node:path";
import { MooringError, systemCode } from "../errors.ts";

type Failure = "ERR_STATE_DIRECTORY" | "ERR_OUTPUT" | "ERR_SERVICE_START";

export interface AtomicOptions {
  /** Permission bits, whatever the umask is. */
  readonly mode: number;
  readonly uid?: number;
  readonly gid?: number;
  /** What a failure is called when it is not a full disk. */
  readonly failure?: Failure;
}

/**
 * Replaces `path` by a regular file with this content. Leaves nothing behind when it fails, and sweeps what a killed
 * process left. Throws ERR_STATE_FULL, or `options.failure` (ERR_STATE_DIRECTORY by default).
 */
export function writeAtomic(path: string, content: Uint8Array | string, options: AtomicOptions): void {
  const { failure = "ERR_STATE_DIRECTORY" } = options;
  try {
    refuseSpecialFile(path, failure);
    const temporary = temporaryBeside(path);
    try {
      writeNew(temporary, content, options);
      fs.renameSync(temporary, path);
    } catch (error) {
      fs.rmSync(temporary, { force: true });
      throw error;
    }
    syncDirectory(dirname(path));
  } catch (error) {
    throw fileFailure(failure, "write", path, error);
  }
}

/** `writeAtomic` of a content that comes in pieces. Whatever `pieces` throws is thrown, and `path` stays as it was. */
export async function writeAtomicPieces(
  path: string,
  pieces: AsyncIterable<string>,
  { mode, failure = "ERR_STATE_DIRECTORY" }: { mode: number; failure?: Failure },
): Promise<void> {
  const attempt = <Result>(act: () => Result): Result => {
    try {
      return act();
    } catch (error) {
      throw fileFailure(failure, "write", path, error);
    }
  };
  const temporary = attempt(() => {
    refuseSpecialFile(path, failure);
    return temporaryBeside(path);
  });
  const { O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW } = fs.constants;
  const fd = attempt(() => fs.openSync(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode));
  try {
    attempt(() => fs.fchmodSync(fd, mode));
    for await (const piece of pieces) attempt(() => fs.writeFileSync(fd, piece));
    attempt(() => {
      fs.fsyncSync(fd);
      fs.renameSync(temporary, path);
      syncDirectory(dirname(path));
    });
  } finally {
    fs.closeSync(fd);
    fs.rmSync(temporary, { force: true });
  }
}

/** Removes a file for good, if it is there. */
export function removeFile(path: string): void {
  try {
    fs.unlinkSync(path);
  } catch (error) {
    if (systemCode(error) === "ENOENT") return;
    throw error;
  }
  syncDirectory(dirname(path));
}

/** Makes renames and removals in a directory last. */
export function syncDirectory(directory: string): void {
  const fd = fs.openSync(directory, fs.constants.O_RDONLY | fs.constants.O_DIRECTORY);
  try {
    fs.fsyncSync(fd);
  } finally {
    fs.closeSync(fd);
  }
}

/** A file system's refusal as a MooringError: a full disk is ERR_STATE_FULL, all else `code`. */
export function fileFailure(code: Failure, act: string, path: string, cause: unknown): MooringError {
  if (cause instanceof MooringError) return cause;
  const system = systemCode(cause);
  const full = system === "ENOSPC" || system === "EDQUOT";
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new MooringError(full ? "ERR_STATE_FULL" : code, `cannot ${act} ${path}: ${reason}`, {
    cause,
    path,
  });
}

function writeNew(path: string, content: Uint8Array | string, { mode, uid, gid }: AtomicOptions): void {
  const { O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW } = fs.constants;
  const fd = fs.openSync(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode);
  try {
    if (uid !== undefined || gid !== undefined) fs.fchownSync(fd, uid ?? keep, gid ?? keep);
    fs.fchmodSync(fd, mode);
    fs.writeFileSync(fd, content);
    fs.fsyncSync(fd);
  } finally {
    fs.closeSync(fd);
  }
}

/** chown(2)'s -1, in the range that Node takes. */
const keep = 0xffff_ffff;

function refuseSpecialFile(path: string, failure: Failure): void {
  const stat = fs.lstatSync(path, { throwIfNoEntry: false });
  if (!stat || stat.isFile()) return;
  const what = stat.isSymbolicLink() ? "a symbolic link" : "no regular file";
  throw new MooringError(failure, `cannot write ${path}: it is ${what}`, { path });
}

/** A name that nobody else takes. What killed processes left of this file goes. */
function temporaryBeside(path: string): string {
  const directory = dirname(path);
  const prefix = `.${basename(path)}.mooring-`;
  sweep(directory, prefix);
  return join(directory, `${prefix}${process.pid}-${randomBytes(6).toString("hex")}`);
}

function sweep(directory: string, prefix: string): void {
  for (const name of fs.readdirSync(directory)) {
    if (!name.startsWith(prefix)) continue;
    const pid = Number(/^(\d+)-[0-9a-f]{12}$/.exec(name.slice(prefix.length))?.[1]);
    if (pid > 0 && !isRunning(pid)) fs.rmSync(join(directory, name), { force: true });
  }
}

/** Our own number counts as not running: writing is synchronous, so a file of ours is from an earlier life. */
function isRunning(pid: number): boolean {
  if (pid === process.pid) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return systemCode(error) !== "ESRCH";
  }
}
