// Root in a directory of another user's: what it makes there, that user could neither read nor replace.

import { type Stats, statSync } from "node:fs";
import { MooringError } from "../errors.ts";
import { groupId, userName } from "./accounts.ts";
import { fileFailure } from "./atomic-file.ts";

declare global {
  namespace NodeJS {
    interface Process {
      /** Node.js has it, its types do not. */
      initgroups?(user: string, extraGroup: number): void;
    }
  }
}

/**
 * The user, not root, whom a directory belongs to where this process is root's; undefined in every other case. Throws
 * ERR_STATE_DIRECTORY where it cannot be looked at.
 */
export function ownerBesideRoot(directory: string): { uid: number; gid: number } | undefined {
  if (process.geteuid?.() !== 0) return undefined;
  const stat = statOf(directory);
  return stat && stat.uid !== 0 ? { uid: stat.uid, gid: stat.gid } : undefined;
}

function statOf(directory: string): Stats | undefined {
  try {
    return statSync(directory, { throwIfNoEntry: false });
  } catch (cause) {
    throw fileFailure("ERR_STATE_DIRECTORY", "look at", directory, cause);
  }
}

/**
 * Has root go on as the user whom the directory belongs to, with that user's groups and `alsoIn`, for good. Does nothing
 * for others, and where there is no directory yet. Throws ERR_STATE_DIRECTORY where root may not become somebody else.
 */
export function becomeOwner(directory: string, { alsoIn }: { alsoIn: readonly string[] }): void {
  const owner = ownerBesideRoot(directory);
  if (!owner) return;
  const name = userName(owner.uid);
  try {
    // A number alone is in no group.
    if (name === String(owner.uid)) process.setgroups?.([owner.gid]);
    else process.initgroups?.(name, owner.gid);
    // Before the groups are asked for: Node.js counts this one among them.
    process.setgid?.(owner.gid);
    const more = alsoIn.flatMap((group) => groupId(group) ?? []);
    process.setgroups?.([...new Set([...(process.getgroups?.() ?? []), ...more])]);
    process.setuid?.(owner.uid);
  } catch (cause) {
    throw new MooringError(
      "ERR_STATE_DIRECTORY",
      `${directory} belongs to ${name}, and root may not become that user here`,
      {
        cause,
        path: directory,
        hint: `run it as that user, out of this sandbox: \`runuser -u ${name} -- COMMAND\``,
      },
    );
  }
}
