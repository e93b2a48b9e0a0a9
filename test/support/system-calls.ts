// What a program does to a directory, as the kernel saw it.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect } from "vitest";
import { finished, nodeCommand } from "./children.ts";
import { temporaryDirectory } from "./temporary-directory.ts";

const traced = "trace=openat,mkdir,write,pwrite64,fsync,fdatasync,rename,renameat,renameat2,symlink";

/**
 * Runs a program under strace and tells its changes below `directory`, in order: `create D/TEMP`, `write D/TEMP`,
 * `rename D/TEMP D/file`, `fsync D`. D is the directory, TEMP a temporary file of writeAtomic's.
 */
export async function changesIn(directory: string, program: string): Promise<string[]> {
  const trace = join(temporaryDirectory(), "trace");
  const run = await finished([
    "strace",
    "-f",
    "--seccomp-bpf",
    "-y",
    "-e",
    traced,
    "-o",
    trace,
    ...nodeCommand(program),
  ]);
  expect(run).toMatchObject({ code: 0, stderr: "" });
  return readFileSync(trace, "utf8")
    .split("\n")
    .flatMap((line) => changeIn(line, directory));
}

function changeIn(line: string, directory: string): string[] {
  const [, call, rest = ""] = /^\d+ +(\w+)\((.*)/.exec(line) ?? [];
  if (!call || !rest.includes(directory)) return [];
  if (call === "openat" && !rest.includes("O_CREAT")) return [];
  const paths = [...rest.matchAll(/^\d+<([^>]*)>|"([^"]*)"/g)].map(
    ([, descriptor, path]) => descriptor ?? path ?? "",
  );
  const shown = paths
    .filter((path) => path.startsWith("/") || call === "symlink")
    .map((path) => path.replace(directory, "D").replace(/\.[^/]*\.mooring-[^/]*/, "TEMP"));
  return [[call === "openat" ? "create" : call.replace(/at2?$/, ""), ...shown].join(" ")];
}
