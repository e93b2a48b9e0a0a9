// What tests leave behind: files in their temporary directory, and processes that name it on their command line.

import { readdirSync, readFileSync } from "node:fs";

export function leftoversIn(directory: string): string[] {
  const running = processesNaming(directory).map((command) => `still running: ${command}`);
  return [...running, ...readdirSync(directory).map((name) => `left behind: ${name}`)];
}

function processesNaming(path: string): string[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name) && name !== String(process.pid))
    .flatMap((pid) => {
      try {
        const command = readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ");
        return command.includes(path) ? [`${pid} ${command}`] : [];
      } catch {
        return []; // it ended meanwhile
      }
    });
}
