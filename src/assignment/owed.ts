// The commands of outputs that are owed: noted on disk before an output is replaced, and struck out once its command has
// ended well. One that failed, or that a power cut kept from its end, is run again; so it runs at least once a change.

import { join } from "node:path";
import { causeText } from "../errors.ts";
import { removeFile, writeAtomic } from "../system/atomic-file.ts";
import type { Log } from "../system/log.ts";
import { readRegularFile } from "../system/regular-file.ts";

/** Outputs are known by their paths. */
export interface OwedCommands {
  has(path: string): boolean;
  note(path: string): void;
  settle(path: string): void;
}

/** Read only when asked for. What cannot be noted costs the repetition, never the output itself. */
export function owedCommands(stateDirectory: string, { log }: { log: Log }): OwedCommands {
  const file = join(stateDirectory, "owed-commands.json");
  let paths: Set<string> | undefined;
  const owed = (): Set<string> => {
    paths ??= new Set(read(file));
    return paths;
  };
  const keep = (act: () => void): void => {
    try {
      act();
    } catch (error) {
      log.debug("output.command-not-noted", { path: file, error: causeText(error) });
    }
  };
  return {
    has: (path) => owed().has(path),
    note: (path) => {
      if (owed().has(path)) return;
      owed().add(path);
      keep(() => write(file, owed()));
    },
    settle: (path) => {
      if (owed().delete(path)) keep(() => (owed().size > 0 ? write(file, owed()) : removeFile(file)));
    },
  };
}

const write = (file: string, paths: ReadonlySet<string>): void =>
  writeAtomic(file, `${JSON.stringify([...paths])}\n`, { mode: 0o600 });

/** A file that is damaged owes nothing that could be known. */
function read(file: string): string[] {
  try {
    const paths: unknown = JSON.parse(readRegularFile(file)?.toString() ?? "[]");
    return Array.isArray(paths) ? paths.filter((path) => typeof path === "string") : [];
  } catch {
    return [];
  }
}
