// Watches the places of files: the directory of each, because a replacement is a rename, and the directory's own parent,
// because it may be replaced as well, be a link that leads elsewhere from now on, or be made later.

import { existsSync, type FSWatcher, readlinkSync, realpathSync, statSync, watch } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { systemCode } from "../errors.ts";
import type { Log } from "../system/log.ts";

/** inotify(7): watches and instances are limited, by user. */
const exhaustion: ReadonlySet<string> = new Set(["ENOSPC", "EMFILE", "ENFILE"]);

export interface Checked extends Disposable {
  /** Looks for what a watch may have missed. */
  check(): void;
}

interface Watched {
  /** Tells a directory from the one that takes its place. */
  readonly is: string;
  /** Absent where it cannot be watched. */
  readonly watcher?: FSWatcher;
}

/**
 * Calls `onStir` whenever something may have changed at one of the files, until disposed of; no more than two
 * directories are watched for each, and two for each link on its way. What cannot be watched is left out, and the log
 * says so.
 */
export function watchPlaces(files: readonly string[], onStir: () => void, { log }: { log: Log }): Disposable {
  const watched = new Map<string, Watched>();
  const unwatched = new Set<string>();
  let wanted: ReturnType<typeof placesOf> = new Map();
  const drop = (directory: string): void => {
    watched.get(directory)?.watcher?.close();
    watched.delete(directory);
  };

  const open = (directory: string): Watched => {
    const is = identityOf(directory);
    const failed = (error: unknown): void => {
      const why = error instanceof Error ? error.message : error;
      // A directory that others keep to themselves is one thing; no watches left is for an operator to mend.
      const isExhausted = exhaustion.has(systemCode(error) ?? "");
      const level = isExhausted && !unwatched.has(directory) ? "warn" : "debug";
      log[level]("directory.unwatched", { path: directory, error: why });
      unwatched.add(directory);
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
    for (const path of waypoints(file)) {
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

/** As many as the kernel follows (path_resolution(7)). */
const mostLinks = 40;

/** The file, each link on the way to what it is, and where they lead. */
function waypoints(file: string): Set<string> {
  const seen = new Set<string>();
  let at: string | undefined = file;
  while (at !== undefined && !seen.has(at) && seen.size < mostLinks) {
    seen.add(at);
    at = linkAt(at);
  }
  return seen.add(targetOf(file));
}

function linkAt(path: string): string | undefined {
  try {
    return resolve(dirname(path), readlinkSync(path));
  } catch {
    return undefined;
  }
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
