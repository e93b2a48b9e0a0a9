// The control socket in the file system: there with its final mode from the start, and never taken from a daemon that
// is alive. What a killed daemon left is cleared away.

import { randomBytes } from "node:crypto";
import * as fs from "node:fs";
import { connect, type Server } from "node:net";
import { dirname } from "node:path";
import { MooringError, systemCode } from "../../errors.ts";
import { groupId } from "../../system/accounts.ts";

export interface SocketPlace {
  readonly path: string;
  /** A socket that is listening already, opened by the service manager: the file is then its business. */
  readonly fd?: number | undefined;
  readonly group?: string | undefined;
}

/** Of `sockaddr_un`, without the zero at its end. */
const longestPath = 107;

/** Throws ERR_DAEMON_RUNNING when somebody answers there, ERR_CONTROL_SOCKET when there can be no socket. */
export async function listenAt(server: Server, { path, fd, group }: SocketPlace): Promise<void> {
  if (fd !== undefined) {
    await listening(server, { fd }, `descriptor ${fd}`);
    return;
  }
  if (Buffer.byteLength(path) > longestPath)
    throw refused(path, `a socket's path has at most ${longestPath} bytes`);
  const gid = group === undefined ? undefined : groupId(group);
  if (group !== undefined && gid === undefined) throw refused(path, `there is no group ${group}`);
  try {
    fs.mkdirSync(dirname(path), { recursive: true, mode: 0o755 });
    await clearAway(path);
    // Between bind and chmod nobody else may come in.
    const umask = process.umask(0o117);
    const bound = listening(server, { path }, path);
    process.umask(umask);
    await bound;
    if (gid !== undefined) fs.chownSync(path, process.geteuid?.() ?? 0, gid);
  } catch (error) {
    server.close();
    throw error instanceof MooringError ? error : refused(path, error);
  }
}

const listening = (server: Server, at: { fd: number } | { path: string }, name: string): Promise<void> =>
  new Promise((resolve, reject) => {
    server.once("error", (error) => reject(refused(name, error)));
    server.listen(at, resolve);
  });

/**
 * Two daemons may start at once and find the same dead socket: so it is first moved, in one step, to where nobody else
 * looks. If the other one's living socket was caught that way, it goes back.
 */
async function clearAway(path: string): Promise<void> {
  const there = fs.lstatSync(path, { throwIfNoEntry: false });
  if (!there) return;
  if (!there.isSocket()) throw refused(path, "something else than a socket is there");
  if (await answers(path)) throw runningAt(path);
  const aside = `${path}.${randomBytes(3).toString("hex")}`;
  try {
    fs.renameSync(path, aside);
  } catch (error) {
    if (systemCode(error) === "ENOENT") return;
    throw error;
  }
  if (!(await answers(aside))) return fs.rmSync(aside, { force: true });
  fs.renameSync(aside, path);
  throw runningAt(path);
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
      // Its queue is full, so somebody has one.
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
