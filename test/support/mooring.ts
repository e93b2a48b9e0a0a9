// Runs the built program as its users do: a process of its own, with nothing in its environment but what is given.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { resolve } from "node:path";
import { expect } from "vitest";
import type { ErrorCode } from "../../src/errors.ts";
import { errorTable } from "../../src/errors.ts";

export const program = resolve("dist/main.js");

export interface Run {
  /** Exit code; null when a signal ended it. */
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
  /** Standard output as one JSON object; the test fails when it is anything else. */
  readonly json: Record<string, unknown>;
  readonly elapsedMs: number;
}

export interface RunOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** A command that runs the program, such as `strace -f`. */
  readonly under?: readonly string[];
  readonly timeoutMs?: number;
}

export interface Started {
  readonly child: ChildProcess;
  readonly ended: Promise<Run>;
}

export function startMooring(args: readonly string[], options: RunOptions = {}): Started {
  const [command = "", ...rest] = [...(options.under ?? []), process.execPath, program, ...args];
  const startedAt = performance.now();
  const child = spawn(command, rest, {
    cwd: options.cwd,
    env: environment(options.env),
    stdio: ["ignore", "pipe", "pipe"],
    // What hangs is a failure that the test sees as a missing exit code.
    timeout: options.timeoutMs ?? 60_000,
    killSignal: "SIGKILL",
  });
  const texts = { stdout: "", stderr: "" };
  for (const stream of ["stdout", "stderr"] as const) {
    child[stream]?.setEncoding("utf8").on("data", (text: string) => {
      texts[stream] += text;
    });
  }
  const ended = once(child, "close").then(([code, signal]): Run => {
    const elapsedMs = performance.now() - startedAt;
    return {
      ...{ code, signal, ...texts, elapsedMs },
      get json() {
        return JSON.parse(texts.stdout);
      },
    };
  });
  return { child, ended };
}

export const mooring = (args: readonly string[], options?: RunOptions): Promise<Run> =>
  startMooring(args, options).ended;

export const environment = (extra: Readonly<Record<string, string>> = {}): NodeJS.ProcessEnv => ({
  PATH: process.env["PATH"],
  TMPDIR: process.env["TMPDIR"],
  ...extra,
});

/** The result of a command that has to work, and says nothing on standard error. */
export async function succeed(running: Promise<Run>): Promise<Record<string, unknown>> {
  const run = await running;
  expect(run, run.stderr).toMatchObject({ code: 0, stderr: "" });
  return run.json;
}

/** What `status --json` says of the identity, `generation` and the assignment's fields. */
export async function usableIn(running: Promise<Run>): Promise<Record<string, unknown>> {
  const status = await succeed(running);
  const { assignment, ...usable } = status["usable"] as Record<string, unknown>;
  return { ...usable, ...(assignment as Record<string, unknown>) };
}

/** The error object of a `--json` command that has to fail: in its own words, with its code's exit code, and no stack. */
export async function refuse(running: Promise<Run>, code: ErrorCode): Promise<Record<string, unknown>> {
  const run = await running;
  expect(run.stderr).toContain(`mooring: ${code}: `);
  expect(run.stderr).toContain("  next: ");
  expect(run.stderr).not.toMatch(/^\s+at .+[:(]/m);
  expect(run.code).toBe(errorTable[code].exitCode);
  const error = run.json["error"] as Record<string, unknown>;
  expect(error).toMatchObject({ code, exitCode: run.code });
  return error;
}
