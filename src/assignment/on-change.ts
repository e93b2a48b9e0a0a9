// The command of an output whose file changed: run without a shell, with a time limit, in a process group of its own
// so that nothing of it stays behind when the time is up.

import { spawn } from "node:child_process";
import { MooringError, systemCode } from "../errors.ts";

const timeLimitMs = 30_000;
const passedOn = [
  "PATH",
  "HOME",
  "USER",
  "LANG",
  "LC_ALL",
  "TZ",
  "XDG_RUNTIME_DIR",
  "DBUS_SESSION_BUS_ADDRESS",
];

/** False where it is not ours to kill: the command has become another user. */
function killGroup(pid: number): boolean {
  try {
    return process.kill(-pid, "SIGKILL");
  } catch (error) {
    return systemCode(error) === "ESRCH";
  }
}

/** Resolves when the command ended well; throws ERR_OUTPUT with what it said last, or the signal's reason. */
export async function runCommand(
  [program = "", ...args]: readonly string[],
  {
    env,
    signal,
    limitMs = timeLimitMs,
  }: { env: Readonly<Record<string, string>>; signal: AbortSignal; limitMs?: number },
): Promise<void> {
  signal.throwIfAborted();
  const inherited = Object.fromEntries(passedOn.flatMap((name) => [[name, process.env[name]]]));
  const child = spawn(program, args, {
    env: { ...inherited, ...env },
    stdio: ["ignore", "ignore", "pipe"],
    detached: true,
  });
  let said = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    said = (said + text).slice(-400);
  });

  const ending = await new Promise<string | undefined>((resolve) => {
    const stop = (why: string): void => {
      resolve(child.pid === undefined || killGroup(child.pid) ? why : `${why}, and could not be stopped`);
    };
    const onAbort = (): void => stop("was stopped");
    const timer = setTimeout(() => stop(`took longer than ${limitMs / 1000} s`), limitMs);
    signal.addEventListener("abort", onAbort, { once: true });
    const finish = (why: string | undefined): void => {
      clearTimeout(timer);
      signal.removeEventListener("abort", onAbort);
      resolve(why);
    };
    child.once("error", (error) => finish(`cannot start: ${error.message}`));
    // Not `close`: a daemon that the command started may keep the pipe open.
    child.once("exit", (code, by) => finish(code === 0 ? undefined : `ended with ${by ?? code}`));
  });
  child.stderr.destroy();
  signal.throwIfAborted();
  if (ending === undefined) return;
  const lastLine = said.trim().split("\n").at(-1);
  throw new MooringError("ERR_OUTPUT", `on_change ${program} ${ending}${lastLine ? `: ${lastLine}` : ""}`, {
    hint: "run the command of on_change by hand; the file itself is written",
  });
}
