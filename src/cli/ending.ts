// One place where every failure becomes a message and an exit code.

import { logWritten } from "./log.ts";
import { reportError } from "./output.ts";

/** Runs a command and answers with its exit code, which the command may have set. */
export async function ending(
  act: () => Promise<unknown>,
  how: { readonly json: boolean; readonly verbose: boolean },
): Promise<number> {
  try {
    await act();
    return typeof process.exitCode === "number" ? process.exitCode : 0;
  } catch (error) {
    return reportError(error, how);
  } finally {
    await logWritten();
  }
}
