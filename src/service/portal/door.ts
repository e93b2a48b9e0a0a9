// The portal's door: signing in with the key of a policy or a one-time link, and recognising who is in by the cookie.

import { createHash, timingSafeEqual } from "node:crypto";
import type { Clock } from "../../system/clock.ts";
import type { Policy } from "../records.ts";
import { Refusal, Throttled } from "../refusal.ts";
import { createFailedAttempts } from "./failed-attempts.ts";
import { type BrowserRequest, canonicalName, verifyOwnName, verifySameOrigin } from "./same-origin.ts";
import { createSessions, type Session } from "./sessions.ts";
import { createSignInLinks, type SignInLinks } from "./sign-in-links.ts";

export type SignIn = { readonly policy: string; readonly key: string } | { readonly token: string };

/** A browser that is signed in. */
export interface Guest extends Session {
  /** Calls `listener` when the session ends; undo with what is returned. */
  onEnd(listener: () => void): () => void;
  /** Whether it is still good; asking is no use of it. */
  isIn(): boolean;
}

export interface PortalDoor {
  readonly links: SignInLinks;
  /** Throws what `verifyOwnName` throws. */
  verifyAddress(request: BrowserRequest): void;
  /**
   * The session and the cookie that has to be set for it. Throws 401002 when the credential is wrong, 429001 after too
   * many of those from `address`, and what `verifySameOrigin` throws.
   */
  signIn(request: BrowserRequest, address: string, credential: SignIn): { cookie: string; session: Session };
  /** The cookie to set, whoever it was. Throws what `guest` throws. */
  signOut(request: BrowserRequest): { cookie: string };
  /**
   * Who is in; undefined when the request has no cookie of ours, or one that is over. Throws 403000 for what the page
   * did not send on purpose, and what `verifySameOrigin` throws.
   */
  guest(request: BrowserRequest): Guest | undefined;
  /** Signs everybody out. */
  close(): void;
}

export interface PortalDoorOptions {
  readonly clock: Clock;
  /** Names and addresses of this service, without port. */
  readonly names: readonly string[];
  /** Looked up anew each time; a link signs in as the first. */
  readonly policies: () => readonly Policy[];
}

export function createPortalDoor({ clock, names, policies }: PortalDoorOptions): PortalDoor {
  const sessions = createSessions({ clock, policies });
  const links = createSignInLinks(clock);
  const failures = createFailedAttempts(clock);
  const ownNames = names.map(canonicalName);

  const admit = (credential: SignIn): { policy: Policy; key: string } => {
    if ("token" in credential) {
      const [owner] = policies();
      if (links.redeem(credential.token) && owner) return { policy: owner, key: owner.primaryKey };
      throw new Refusal(401002, "This link was used already, or its ten minutes are over.");
    }
    const policy = policies().find(({ name }) => name.toLowerCase() === credential.policy.toLowerCase());
    const keys = policy ? [policy.primaryKey, policy.secondaryKey] : [];
    const key = keys.find((each) => isSame(each, credential.key));
    if (policy && key !== undefined) return { policy, key };
    throw new Refusal(401002, "There is no such policy, or this is not one of its keys.");
  };

  const guest = (request: BrowserRequest): Guest | undefined => {
    const id = idIn(request);
    if (id === undefined) return undefined;
    verifySameOrigin(request, ownNames);
    const session = sessions.find(id);
    if (!session) return undefined;
    const safe = request.method === "GET" || request.method === "HEAD";
    if (!safe && !isSame(session.csrf, String(request.headers["x-mooring-csrf"] ?? ""))) {
      throw new Refusal(
        403000,
        "Forbidden: the header x-mooring-csrf is missing or not that of this session.",
      );
    }
    return {
      ...session,
      onEnd: (listener) => sessions.onEnd(id, listener),
      isIn: () => sessions.find(id, { use: false }) !== undefined,
    };
  };

  return {
    links,
    verifyAddress: (request) => verifyOwnName(request, ownNames),
    guest,
    signIn(request, address, credential) {
      verifySameOrigin(request, ownNames);
      const wait = failures.waitFor(address);
      // A link cannot be guessed: whoever has one is let in, however often others of this address were wrong.
      if (wait > 0 && !("token" in credential)) {
        throw new Throttled(wait, `Too many wrong keys: try again in ${wait} seconds.`);
      }
      try {
        const { policy, key } = admit(credential);
        failures.forget(address);
        const before = idIn(request);
        if (before !== undefined) sessions.close(before);
        const { id, session } = sessions.open(policy, key);
        return { cookie: sessionCookie(request, id), session };
      } catch (error) {
        failures.note(address);
        throw error;
      }
    },
    signOut(request) {
      verifySameOrigin(request, ownNames);
      const id = idIn(request);
      if (guest(request) && id !== undefined) sessions.close(id);
      return { cookie: `${sessionCookie(request, "")}; Max-Age=0` };
    },
    close: () => sessions.closeAll(),
  };
}

/** Cookies do not know ports: two services on one machine would sign one another out under one name. */
function cookieName({ headers }: BrowserRequest): string {
  const port = /:(\d+)$/.exec(headers.host ?? "")?.[1];
  return port === undefined ? "__Host-mooring" : `__Host-mooring-${port}`;
}

const sessionCookie = (request: BrowserRequest, value: string): string =>
  `${cookieName(request)}=${value}; Path=/; Secure; HttpOnly; SameSite=Strict`;

const idIn = (request: BrowserRequest): string | undefined =>
  readCookie(request.headers.cookie, cookieName(request));

function readCookie(header: string | undefined, name: string): string | undefined {
  for (const part of (header ?? "").split(";")) {
    const at = part.indexOf("=");
    if (part.slice(0, at).trim() === name) return part.slice(at + 1).trim();
  }
  return undefined;
}

/** In a time that tells nothing about how much of them is the same. */
const isSame = (expected: string, given: string): boolean =>
  timingSafeEqual(digest(expected), digest(given.trim()));

const digest = (text: string): Buffer => createHash("sha256").update(text).digest();
