// The control socket in the file system: there with its final mode from the start, and never taken from a daemon that
// is alive. What a killed daemon left is cleared away, by one at a time.

import * as fs from "node:fs";
import { connect, type Server } from "node:net";
import { dirname } from "node:path";
import { MooringError, systemCode } from "../../errors.ts";
import { groupId } from "../../system/accounts.ts";
import { makeDirectories } from "../../system/directories.ts";
import { takeFileLock } from "../../system/file-lock.ts";
import type { Log } from "../../system/log.ts";

export interface SocketPlace {
  readonly path: string;
  /** A socket that is listening already, opened by the service manager: the file is then its business. */
  readonly fd?: number | undefined;
  readonly group?: string | undefined;
}

/** Throws ERR_DAEMON_RUNNING when somebody answers there, ERR_CONTROL_SOCKET when there can be no socket. */
export async function listenAt(
  server: Server,
  { path, fd, group, log }: SocketPlace & { readonly log: Log },
): Promise<void> {
  try {
    if (fd !== undefined) {
      await listening(server, { fd });
      return tellIfShut(path, group, log);
    }
    const gid = group === undefined ? undefined : groupId(group);
    if (group !== undefined && gid === undefined) throw refused(path, `there is no group ${group}`);
    makeDirectories(dirname(path), { mode: 0o755 });
    if (fs.existsSync(path)) await replaceStale(server, path);
    else await listening(server, { path });
    if (gid !== undefined) fs.chownSync(path, process.geteuid?.() ?? 0, gid);
  } catch (error) {
    server.close();
    if (error instanceof MooringError) throw error;
    throw systemCode(error) === "EADDRINUSE" ? runningAt(path) : refused(path, error);
  }
}

/** Who opened the socket gave it to our own group, and not to the one that is configured. */
function tellIfShut(path: string, group: string | undefined, log: Log): void {
  const gid = fs.statSync(path, { throwIfNoEntry: false })?.gid;
  if (group === undefined || gid !== process.getegid?.() || gid === groupId(group)) return;
  const hint = `name the group in a drop-in of mooring.socket: [Socket] SocketGroup=${group}`;
  log.warn("control.group-ignored", { path, group, hint });
}

function listening(server: Server, at: { fd: number } | { path: string }): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    // It is bound at once; the umask keeps everybody else out from the start.
    const umask = process.umask(0o117);
    server.listen(at, () => {
      server.off("error", reject);
      resolve();
    });
    process.umask(umask);
  });
}

/** Of several daemons that start at once, one finds the dead socket, and the others find a living one. */
async function replaceStale(server: Server, path: string): Promise<void> {
  if (!fs.lstatSync(path).isSocket()) throw refused(path, "something else than a socket is there");
  if (await answers(path)) throw runningAt(path);
  const lock = takeFileLock(`${path}.lock`);
  if (!lock) throw runningAt(path);
  try {
    if (await answers(path)) throw runningAt(path);
    fs.rmSync(path, { force: true });
    await listening(server, { path });
  } finally {
    lock.release();
  }
}

/** Whether somebody listens there. */
const answers = (path: string): Promise<boolean> =>
  new Promise((resolve, reject) => {
    const socket = connect(path);
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", (error) => {
      const code = systemCode(error);
      if (code === "ECONNREFUSED" || code === "ENOENT") resolve(false);
      // Somebody has a queue, and it is full.
      else if (code === "EAGAIN") resolve(true);
      else reject(error);
    });
  });

const runningAt = (path: string): MooringError =>
  new MooringError("ERR_DAEMON_RUNNING", `another daemon answers on ${path}`, { path });

function refused(path: string, why: unknown): MooringError {
  const words = why instanceof Error ? why.message : String(why);
  const cause = why instanceof Error && { cause: why };
  return new MooringError("ERR_CONTROL_SOCKET", `cannot listen on ${path}: ${words}`, { ...cause, path });
}
