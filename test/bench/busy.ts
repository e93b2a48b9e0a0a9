// How long other processes have computed, as the kernel counts it.

import { readdirSync, readFileSync } from "node:fs";

/** Milliseconds that all threads of a running process have been on a CPU, to the nanosecond (proc(5), schedstat). */
export function busyMs(pid: number): number {
  const tasks = `/proc/${pid}/task`;
  return readdirSync(tasks)
    .map((thread) => Number(readFileSync(`${tasks}/${thread}/schedstat`, "utf8").split(" ")[0]) / 1e6)
    .reduce((sum, ms) => sum + ms, 0);
}
