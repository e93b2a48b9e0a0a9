// One measured run of a program. A small Python helper starts it: forked by this process, the child would begin with
// this process's own peak memory.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";

export interface Sample {
  readonly wallMs: number;
  /** User and system, with the children it waited for. */
  readonly cpuMs: number;
  /** The largest resident set. */
  readonly peakMiB: number;
}

export interface Command {
  /** The program's absolute path, then its arguments. */
  readonly argv: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

export interface Meter extends AsyncDisposable {
  /** Resolves to the sample and standard output; rejects when the program fails, with what it said. */
  run(command: Command): Promise<{ sample: Sample; output: string }>;
}

/** `directory` takes what the programs print. */
export function openMeter(directory: string): Meter {
  const output = join(directory, "output");
  const errors = join(directory, "errors");
  const helper = spawn("python3", ["-I", join(import.meta.dirname, "measure.py")], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  const answers = createInterface({ input: helper.stdout })[Symbol.asyncIterator]();
  return {
    run: async ({ argv, env = {} }) => {
      helper.stdin.write(`${JSON.stringify({ argv, env: { ...environment(), ...env }, output, errors })}\n`);
      const answer = await answers.next();
      if (answer.done) throw new Error("the measuring helper ended; is python3 installed?");
      const { exitCode, ...sample } = JSON.parse(answer.value) as Sample & { exitCode: number };
      if (exitCode !== 0) {
        throw new Error(`${argv.join(" ")} ended with ${exitCode}: ${await readFile(errors, "utf8")}`);
      }
      return { sample, output: await readFile(output, "utf8") };
    },
    [Symbol.asyncDispose]: async () => {
      const ended = once(helper, "exit");
      helper.stdin.end();
      await ended;
    },
  };
}

/** What a unit would give: nothing that steers Node, npm, proxies or TLS. */
const environment = (): Record<string, string> => ({
  PATH: "/usr/sbin:/usr/bin:/sbin:/bin",
  LANG: "C.UTF-8",
});
