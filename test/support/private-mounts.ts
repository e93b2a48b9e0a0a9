// A mount namespace of the test's own: file systems that only the processes inside can see, and that are gone with
// them. Root needs nothing more; others get a user namespace beside it.

import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";

export interface PrivateMounts extends AsyncDisposable {
  /** A command to run programs inside with. */
  readonly enter: readonly string[];
  /** Runs a shell script inside. */
  run(script: string): string;
}

const isRoot = process.getuid?.() === 0;

export async function privateMounts(): Promise<PrivateMounts> {
  // It lives until its standard input is closed.
  const holder = spawn("unshare", [...(isRoot ? ["-m"] : ["-rm"]), "sh", "-c", "echo ready; read _"], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  const [first] = await Promise.race([once(holder.stdout, "data"), once(holder, "exit")]);
  if (String(first) !== "ready\n") throw new Error(`no mount namespace can be had (unshare: ${first})`);
  const namespaces = isRoot ? ["-m"] : ["-m", "-U", "--preserve-credentials"];
  const enter = ["nsenter", "-t", String(holder.pid), ...namespaces, "--"];
  return {
    enter,
    run: (script) => {
      const [command = "", ...args] = [...enter, "sh", "-euc", script];
      return execFileSync(command, args, { encoding: "utf8" });
    },
    [Symbol.asyncDispose]: async () => {
      const ended = once(holder, "exit");
      holder.stdin.end();
      await ended;
    },
  };
}

/** Runs a program without root's privilege to read and write everything; for others than root it is as it is. */
export const withoutPrivilege: readonly string[] = isRoot
  ? ["setpriv", "--bounding-set=-dac_override,-dac_read_search", "--"]
  : [];
