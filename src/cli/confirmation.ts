// Before something is gone for good: says what goes, and asks whoever sits at the terminal.

import { createInterface } from "node:readline/promises";
import { MooringError } from "../errors.ts";

export interface ConfirmOptions {
  readonly yes?: boolean;
}

/** What somebody has to be told and asked; the question ends with what is about to be done. */
export interface Question {
  readonly consequences: readonly string[];
  readonly question: string;
}

/** Whether somebody has to be asked. Throws ERR_USAGE when there is nobody and no `--yes`. */
export function mustAsk({ yes = false }: ConfirmOptions, what: string): boolean {
  if (yes) return false;
  if (process.stdin.isTTY && process.stderr.isTTY) return true;
  throw new MooringError("ERR_USAGE", `will not ${what} unasked, and there is no terminal to ask at`, {
    hint: "say --yes if it is meant",
  });
}

/** Returns when the answer is yes. Throws ERR_CANCELLED. */
export async function ask(
  { consequences, question }: Question,
  { signal }: { signal: AbortSignal },
): Promise<void> {
  for (const line of consequences) process.stderr.write(`${line}\n`);
  const lines = createInterface({ input: process.stdin, output: process.stderr });
  // Ctrl-D, or Ctrl-C, which readline takes for itself.
  const gone = new Promise<string>((resolve) => lines.once("close", () => resolve("no")));
  try {
    const answer = await Promise.race([lines.question(`${question} [y/N] `, { signal }), gone]);
    if (/^\s*y(es)?\s*$/i.test(answer)) return;
    throw new MooringError("ERR_CANCELLED", "the answer was not yes");
  } finally {
    lines.close();
  }
}
