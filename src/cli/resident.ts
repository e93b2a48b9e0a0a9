// `mooring run`, with all that it needs and nothing that only other commands do: it stays in memory for years.

import { run } from "../agent/run.ts";
import { loadConfig } from "../config/load.ts";
import { ending } from "./ending.ts";
import { commandTools, defaultConfig } from "./options.ts";
import type { PlainOptions } from "./plain-words.ts";

/** Stays until it is stopped or idle. Throws what run() throws. */
export async function stay({ config = defaultConfig(), verbose }: PlainOptions): Promise<void> {
  const readConfig = (): ReturnType<typeof loadConfig> => loadConfig(config);
  await run({ ...commandTools({ verbose }), readConfig, program: process.argv[1] ?? "" });
}

/** The whole program, as a unit starts it; answers with the exit code. */
export const resident = (options: PlainOptions): Promise<number> =>
  ending(() => stay(options), { json: options.json ?? false, verbose: options.verbose ?? false });
