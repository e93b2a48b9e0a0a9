// Faults at exactly one system call of a program: fault-injector.c, compiled, and what it wrote down.

import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/**
 * `kill`, `eio` and `short` (half of a write) happen once; from `enospc` and `erofs` on the disk stays as it is. A
 * number is the id of another process that is killed.
 */
export type Fault = "kill" | "eio" | "short" | "enospc" | "erofs" | number;

/** A system call that touched a watched directory, or a Unix socket in one. */
export interface TouchingCall {
  readonly name: string;
  readonly path: string;
  /** Of the TPM command that was sent, if it was that: TPM_CC. */
  readonly commandCode?: number;
  readonly changes: boolean;
  readonly mayNeedSpace: boolean;
}

export interface FaultInjector {
  /** The command to run a program under, so that `fault` happens at its nth touching call; 0 merely records. */
  under(nth: number, fault: Fault): readonly string[];
  /** The touching calls of the last program, in order, across its threads. */
  calls(): TouchingCall[];
}

/** Compiled into `directory`, which holds the records, too. */
export function faultInjector(directory: string, watched: readonly string[]): FaultInjector {
  const binary = join(directory, "fault-injector");
  const record = join(directory, "calls");
  const source = fileURLToPath(new URL("fault-injector.c", import.meta.url));
  execFileSync("cc", ["-std=c11", "-O2", "-Wall", "-Wextra", "-Wshadow", "-Werror", "-o", binary, source]);
  return {
    under: (nth, fault) => [binary, record, String(nth), String(fault), ...watched, "--"],
    calls: () => readFileSync(record, "utf8").split("\n").filter(Boolean).map(parse),
  };
}

function parse(line: string): TouchingCall {
  const [, kind = "", name = "", path = "", code] = /^(\w) (\w+) (.*?)(?: (0x[0-9a-f]+))?$/.exec(line) ?? [];
  const call = { name, path, changes: kind !== "r", mayNeedSpace: kind === "g" };
  return code === undefined ? call : { ...call, commandCode: Number(code) };
}
