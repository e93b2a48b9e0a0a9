// Other processes that run our sources: the runtime under test, without a shell, with their own working directory.

import { type ChildProcess, execFile, spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { onTestFinished } from "vitest";

export interface Finished {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

const sources = new URL("../../src/", import.meta.url);

/** An import specifier for a file under src/, for programs given as text. */
export const source = (path: string): string => JSON.stringify(new URL(path, sources).href);

/** The command that runs a program text as an ES module, to put behind strace or unshare. */
export const nodeCommand = (program: string): string[] => [
  process.execPath,
  "--input-type=module",
  "-e",
  program,
];

/** Sources that run as they are leave nothing compiled beside them. */
const quiet = { ...process.env, NODE_DISABLE_COMPILE_CACHE: "1" };

/** Runs a command to its end. */
export function finished([command = "", ...args]: readonly string[]): Promise<Finished> {
  return new Promise((resolve, reject) => {
    const child = execFile(
      command,
      args,
      { cwd: fileURLToPath(sources), env: quiet },
      (error, stdout, stderr) => {
        if (error && typeof error.code === "string") reject(error);
        else resolve({ code: child.exitCode, signal: child.signalCode, stdout, stderr });
      },
    );
  });
}

/** Starts a program that prints a line when it is ready, and waits for that line. Killed when the test is over. */
export async function started(program: string): Promise<ChildProcess> {
  const [command = "", ...args] = nodeCommand(program);
  const child = spawn(command, args, {
    cwd: fileURLToPath(sources),
    env: quiet,
    stdio: ["ignore", "pipe", "inherit"],
  });
  onTestFinished(() => void child.kill("SIGKILL"));
  await new Promise<void>((resolve, reject) => {
    child.stdout.once("data", () => resolve());
    child.once("exit", (code, signal) =>
      reject(new Error(`it ended with ${signal ?? code} before it was ready`)),
    );
  });
  return child;
}

export function ended(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    if (child.exitCode !== null || child.signalCode !== null) resolve();
    else child.once("exit", () => resolve());
  });
}
