// Whether a request that carries a browser's cookie was meant by the person in front of it: it has to come from our own
// page, under one of our own names. A name that an attacker points at this machine is none of them (DNS rebinding).

import type { IncomingHttpHeaders } from "node:http";
import { Refusal } from "../refusal.ts";

export interface BrowserRequest {
  readonly method: string;
  readonly headers: IncomingHttpHeaders;
}

/**
 * Throws 421000 for a foreign `Host`, 403000 for what another site caused (Fetch Metadata), and 403000 for anything
 * but GET and HEAD that does not name its origin. `names` are host names and addresses, in lower case, without port.
 */
export function verifySameOrigin({ method, headers }: BrowserRequest, names: readonly string[]): void {
  const host = addressOf(`https://${headers.host ?? ""}`);
  if (!host || !names.some((name) => covers(name, bare(host.hostname)))) {
    throw new Refusal(
      421000,
      `The portal is not at this address: use one of ${names.join(", ")}, or start the service with --hostname.`,
    );
  }
  const safe = method === "GET" || method === "HEAD";
  const site = headers["sec-fetch-site"];
  const ownSite = site === undefined || site === "same-origin" || (safe && site === "none");
  if (!ownSite) throw new Refusal(403000, "Forbidden: another site caused this request.");
  if (safe) return;
  const origin = addressOf(headers.origin ?? "");
  if (origin?.protocol !== "https:" || origin.host !== host.host) {
    throw new Refusal(403000, "Forbidden: the request names no origin, or another one than this service.");
  }
}

const addressOf = (text: string): URL | undefined => URL.parse(text) ?? undefined;

const bare = (hostname: string): string => hostname.replace(/^\[|\]$/g, "");

/** `*.` stands for one label, as in a certificate. */
const covers = (name: string, host: string): boolean =>
  name.startsWith("*.") ? host.replace(/^[^.]+/, "*") === name : host === name;
