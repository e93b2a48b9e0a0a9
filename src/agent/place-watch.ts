// Watches the places of files: the directory of each, because a replacement is a rename, and the directory's own parent,
// because it may be replaced as well, be a link that leads elsewhere from now on, or be made later.

import { existsSync, type FSWatcher, realpathSync, statSync, watch } from "node:fs";
import { basename, dirname, join } from "node:path";
import type { Log } from "../system/log.ts";

interface Watched {
  /** Tells a directory from the one that takes its place. */
  readonly is: string;
  /** Absent where it cannot be watched. */
  readonly watcher?: FSWatcher;
}

/**
 * Calls `onStir` whenever something may have changed at one of the files, until disposed of; no more than four
 * directories are watched for each. What cannot be watched is left out, and the log says so.
 */
export function watchPlaces(files: readonly string[], onStir: () => void, { log }: { log: Log }): Disposable {
  const watched = new Map<string, Watched>();
  let wanted: ReturnType<typeof placesOf> = new Map();
  const drop = (directory: string): void => {
    watched.get(directory)?.watcher?.close();
    watched.delete(directory);
  };

  const open = (directory: string): Watched => {
    const is = identityOf(directory);
    const failed = (error: unknown): void => {
      const why = error instanceof Error ? error.message : error;
      log.debug("identity.unwatched", { path: directory, error: why });
    };
    try {
      const watcher = watch(directory, { persistent: false }, (event, name) => {
        // Other programs write to what lies there, such as /dev/null.
        if (event === "change" && name !== null && !wanted.get(directory)?.has(name)) return;
        if (event === "rename") {
          // The kernel gives the new one the number of the old one where it can.
          if (name !== null) drop(join(directory, name));
          if (name === null || name === basename(directory)) drop(directory);
        }
        follow();
        onStir();
      });
      return { is, watcher: watcher.on("error", failed) };
    } catch (error) {
      failed(error);
      return { is };
    }
  };

  /** What is made while a watch is opened would be missed: hence once more, until there is nothing to open. */
  const follow = (): void => {
    for (let opened = true; opened; ) {
      opened = false;
      wanted = placesOf(files);
      for (const [directory, { is }] of watched)
        if (!wanted.has(directory) || identityOf(directory) !== is) drop(directory);
      for (const directory of wanted.keys()) {
        if (watched.has(directory)) continue;
        watched.set(directory, open(directory));
        opened = true;
      }
    }
  };

  follow();
  return {
    [Symbol.dispose]: () => {
      for (const directory of [...watched.keys()]) drop(directory);
    },
  };
}

/** The directories to watch, and of what name in each a change matters. */
function placesOf(files: readonly string[]): Map<string, Set<string>> {
  const places = new Map<string, Set<string>>();
  const add = (path: string): void => {
    const [directory, name] = nearest(path);
    places.set(directory, (places.get(directory) ?? new Set()).add(name));
  };
  for (const file of files) {
    for (const path of new Set([file, targetOf(file)])) {
      add(path);
      add(dirname(path));
    }
  }
  return places;
}

/** The directory of a path and the name in it; where it is not there yet, the nearest one that is. */
function nearest(path: string): [directory: string, name: string] {
  const directory = dirname(path);
  return directory === "/" || existsSync(directory) ? [directory, basename(path)] : nearest(directory);
}

/** Where links lead; the file itself where they lead nowhere. */
function targetOf(file: string): string {
  try {
    return realpathSync(file);
  } catch {
    return file;
  }
}

function identityOf(directory: string): string {
  try {
    const { dev, ino, birthtimeNs } = statSync(directory, { bigint: true });
    return `${dev}:${ino}:${birthtimeNs}`;
  } catch {
    return "missing";
  }
}
