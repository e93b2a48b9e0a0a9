// The bridge to native/addon: loaded in a fraction of a millisecond when somebody needs it, and not missed much where
// it was not built.

import type { Log } from "./log.ts";
import { nativePlaces } from "./native-file.ts";

/** Who is at the other end of a Unix socket, as it was when it connected. */
export interface Peer {
  readonly pid: number;
  readonly uid: number;
  readonly gid: number;
}

export interface SystemAddon {
  /** One datagram to a path, or to an abstract socket with `@` in front; 0, or the errno of what failed. */
  notify(path: string, text: string): number;
  /** Undefined when the descriptor is no connected Unix socket. */
  peer(descriptor: number): Peer | undefined;
  /** Neither core files nor debuggers of the same user see this process's memory; 0, or an errno. */
  makeUndumpable(): number;
}

let loaded: SystemAddon | "missing" | undefined;

/** The add-on; undefined, with one debug line that says why, where it cannot be loaded. */
export function systemAddon({ log }: { log: Log }): SystemAddon | undefined {
  loaded ??= load(log) ?? "missing";
  return loaded === "missing" ? undefined : loaded;
}

function load(log: Log): SystemAddon | undefined {
  const failures: string[] = [];
  for (const place of nativePlaces("mooring-system.node")) {
    const module: { exports: unknown } = { exports: {} };
    try {
      process.dlopen(module, place);
      return module.exports as SystemAddon;
    } catch (error) {
      failures.push(error instanceof Error ? error.message : String(error));
    }
  }
  log.debug("system.no-addon", { problems: failures });
  return undefined;
}
