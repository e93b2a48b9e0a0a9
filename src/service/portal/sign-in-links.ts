// One-time links: whoever may read the service's terminal or its connection string may open the portal without typing
// a key. A link is good once, and not for long.

import { createHash, randomBytes } from "node:crypto";
import type { Clock } from "../../system/clock.ts";
import { elapsedSince, type Moment, momentOf } from "./elapsed.ts";

export interface SignInLinks {
  /** A new token, and when it runs out (ms since 1970). */
  issue(): { readonly token: string; readonly expiresAt: number };
  /** Whether the token is good; it is not good a second time. */
  redeem(token: string): boolean;
}

const lifetimeMs = 10 * 60_000;
const mostLinks = 100;

export function createSignInLinks(clock: Clock): SignInLinks {
  /** When they were issued, by hash, the oldest first. */
  const links = new Map<string, Moment>();
  const isOver = (issuedAt: Moment): boolean => elapsedSince(issuedAt, clock) >= lifetimeMs;
  return {
    issue() {
      const token = randomBytes(32).toString("base64url");
      for (const [hash, issuedAt] of links) {
        if (!isOver(issuedAt) && links.size < mostLinks) break;
        links.delete(hash);
      }
      links.set(hashOf(token), momentOf(clock));
      return { token, expiresAt: clock.now() + lifetimeMs };
    },
    redeem(token) {
      const hash = hashOf(token);
      const issuedAt = links.get(hash);
      links.delete(hash);
      return issuedAt !== undefined && !isOver(issuedAt);
    },
  };
}

const hashOf = (token: string): string => createHash("sha256").update(token).digest("base64");
