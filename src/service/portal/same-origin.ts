// Whether a request that carries a browser's cookie was meant by the person in front of it: it has to come from our own
// page, under one of our own names. A name that an attacker points at this machine is none of them (DNS rebinding).

import type { IncomingHttpHeaders } from "node:http";
import { isIP } from "node:net";
import { Refusal } from "../refusal.ts";

export interface BrowserRequest {
  readonly method: string;
  readonly headers: IncomingHttpHeaders;
}

/** As browsers write it: in lower case, and an IPv6 address in its shortest form. */
export function canonicalName(name: string): string {
  const url = addressOf(isIP(name) === 6 ? `https://[${name}]` : `https://${name}`);
  return url ? bare(url.hostname) : name.toLowerCase();
}

/** Throws 421000 unless `Host` is one of `names`: canonical names and addresses of this service. */
export function verifyOwnName({ headers }: BrowserRequest, names: readonly string[]): void {
  const host = hostIn(headers);
  if (host && names.some((name) => covers(name, bare(host.hostname)))) return;
  throw new Refusal(
    421000,
    `The portal is not at this address: use one of ${names.join(", ")}, or start the service with --hostname.`,
  );
}

/**
 * Throws what `verifyOwnName` throws, 403000 for what another site caused (Fetch Metadata), and 403000 for anything
 * but GET and HEAD that does not name its origin.
 */
export function verifySameOrigin(request: BrowserRequest, names: readonly string[]): void {
  verifyOwnName(request, names);
  const { method, headers } = request;
  const safe = method === "GET" || method === "HEAD";
  const site = headers["sec-fetch-site"];
  const ownSite = site === undefined || site === "same-origin" || (safe && site === "none");
  if (!ownSite) throw new Refusal(403000, "Forbidden: another site caused this request.");
  if (safe) return;
  const origin = addressOf(headers.origin ?? "");
  if (origin?.protocol !== "https:" || origin.host !== hostIn(headers)?.host) {
    throw new Refusal(403000, "Forbidden: the request names no origin, or another one than this service.");
  }
}

const hostIn = ({ host = "" }: IncomingHttpHeaders): URL | undefined => addressOf(`https://${host}`);

const addressOf = (text: string): URL | undefined => URL.parse(text) ?? undefined;

const bare = (hostname: string): string => hostname.replace(/^\[|\]$/g, "");

/** `*.` stands for one label, as in a certificate. */
const covers = (name: string, host: string): boolean =>
  name.startsWith("*.") ? host.replace(/^[^.]+/, "*") === name : host === name;
