// Who is signed in: sessions of browsers, kept in memory alone. A browser holds a random id, and we hold its hash; the
// session stands for one key of a policy and ends when that key does.

import { createHash, randomBytes } from "node:crypto";
import type { Clock } from "../../system/clock.ts";
import type { Policy } from "../records.ts";
import { elapsedSince, type Moment, momentOf } from "./elapsed.ts";

export interface Session {
  /** As it is now. */
  readonly policy: Policy;
  /** What the page has to send along with everything but GET. */
  readonly csrf: string;
}

export interface Sessions {
  /** Opens a session for the holder of `key`, and says what its cookie has to hold. */
  open(policy: Policy, key: string): { readonly id: string; readonly session: Session };
  /** The session with that id, if it is still good; this counts as its use unless told otherwise. */
  find(id: string, options?: { use: boolean }): Session | undefined;
  close(id: string): void;
  closeAll(): void;
  /** Calls `listener` once, when the session is closed or found to have ended. Undo with what is returned. */
  onEnd(id: string, listener: () => void): () => void;
}

const idleMs = 60 * 60_000;
const lifetimeMs = 12 * 60 * 60_000;

/** More browsers than a lab has; the one that has been away longest has to sign in again. */
const mostSessions = 200;

interface Kept {
  readonly policyName: string;
  readonly keyHash: string;
  readonly csrf: string;
  readonly openedAt: Moment;
  usedAt: Moment;
  readonly ends: Set<() => void>;
}

/** `policies` are looked up anew each time. */
export function createSessions({
  clock,
  policies,
}: {
  clock: Clock;
  policies: () => readonly Policy[];
}): Sessions {
  /** In order of their last use. */
  const sessions = new Map<string, Kept>();

  const end = (hash: string): void => {
    const kept = sessions.get(hash);
    sessions.delete(hash);
    for (const listener of kept?.ends ?? []) listener();
  };

  const policyOf = ({ policyName, keyHash }: Kept): Policy | undefined =>
    policies().find(
      ({ name, primaryKey, secondaryKey }) =>
        name === policyName && [primaryKey, secondaryKey].some((key) => hashOf(key) === keyHash),
    );

  return {
    open(policy, key) {
      const id = randomBytes(32).toString("base64url");
      const csrf = randomBytes(32).toString("base64url");
      const now = momentOf(clock);
      for (const [oldest] of sessions) {
        if (sessions.size < mostSessions) break;
        end(oldest);
      }
      sessions.set(hashOf(id), {
        policyName: policy.name,
        keyHash: hashOf(key),
        csrf,
        openedAt: now,
        usedAt: now,
        ends: new Set(),
      });
      return { id, session: { policy, csrf } };
    },
    find(id, { use } = { use: true }) {
      const hash = hashOf(id);
      const kept = sessions.get(hash);
      if (!kept) return undefined;
      const policy = policyOf(kept);
      const tooOld = elapsedSince(kept.openedAt, clock) >= lifetimeMs;
      if (!policy || tooOld || elapsedSince(kept.usedAt, clock) >= idleMs) {
        end(hash);
        return undefined;
      }
      if (use) {
        kept.usedAt = momentOf(clock);
        sessions.delete(hash);
        sessions.set(hash, kept);
      }
      return { policy, csrf: kept.csrf };
    },
    close: (id) => end(hashOf(id)),
    closeAll() {
      for (const hash of [...sessions.keys()]) end(hash);
    },
    onEnd(id, listener) {
      const kept = sessions.get(hashOf(id));
      kept?.ends.add(listener);
      return () => void kept?.ends.delete(listener);
    },
  };
}

const hashOf = (secret: string): string => createHash("sha256").update(secret).digest("base64");
