// One command line run inside the test's own process, and what it printed.

import { vi } from "vitest";
import { run } from "../../src/cli/program.ts";

export interface Said {
  readonly code: number;
  readonly out: string;
  readonly err: string;
  /** Standard output as JSON. */
  readonly json: () => unknown;
}

/** `mooring ARGS…`. */
export async function commandLine(...args: readonly string[]): Promise<Said> {
  const said = { out: "", err: "" };
  const keep = (to: "out" | "err") => (text: unknown) => {
    said[to] += String(text);
    return true;
  };
  const spies = [
    vi.spyOn(process.stdout, "write").mockImplementation(keep("out")),
    vi.spyOn(process.stderr, "write").mockImplementation(keep("err")),
  ];
  process.exitCode = undefined;
  try {
    const code = await run(["node", "mooring", ...args]);
    return {
      code,
      ...said,
      json: () => JSON.parse(said.out),
    };
  } finally {
    process.exitCode = undefined;
    for (const spy of spies) spy.mockRestore();
  }
}
