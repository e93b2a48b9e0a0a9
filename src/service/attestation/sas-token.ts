// A SAS token as the service sees it: in whatever order, case and encoding a client wrote it. It was signed over
// its own text, so the text is what is verified, before anything is decoded.

import { createHmac, timingSafeEqual } from "node:crypto";
import { decodeLeniently } from "../../system/percent-encoding.ts";

export interface SasToken {
  /** `sr`, percent-decoded. */
  readonly resource: string;
  /** `skn`, percent-decoded. */
  readonly keyName: string | undefined;
  /** `se`, in seconds since 1970. */
  readonly expiresAt: number;
  readonly signature: Buffer;
  /** `sr` and `se` as they were sent. */
  readonly signedText: string;
}

/** How far the clock of a device may be behind when its token has run out. */
const skewSeconds = 300;

/** Reads `SharedAccessSignature sr=…&sig=…&se=…[&skn=…]`; undefined when it is no such thing. */
export function parseSasToken(text: string): SasToken | undefined {
  const query = /^SharedAccessSignature\s+(\S+)\s*$/i.exec(text)?.[1];
  if (query === undefined) return undefined;
  const parts = new Map<string, string>();
  for (const part of query.split("&")) {
    const at = part.indexOf("=");
    const name = part.slice(0, at).toLowerCase();
    if (at < 1 || parts.has(name)) return undefined;
    parts.set(name, part.slice(at + 1));
  }
  const [resource, signature, expiry, keyName] = ["sr", "sig", "se", "skn"].map((name) => parts.get(name));
  if (!resource || !signature || expiry === undefined) return undefined;
  // Some clients write milliseconds: thirteen digits, a date far away, and still a number.
  if (!/^\d{1,15}$/.test(expiry)) return undefined;
  return {
    resource: decodeLeniently(resource),
    keyName: keyName === undefined ? undefined : decodeLeniently(keyName),
    expiresAt: Number(expiry),
    signature: Buffer.from(decodeLeniently(signature), "base64"),
    signedText: `${resource}\n${expiry}`,
  };
}

/** Whether the token was made with this key. */
export function signedWith(token: SasToken, key: Buffer): boolean {
  const expected = createHmac("sha256", key).update(token.signedText).digest();
  return token.signature.length === expected.length && timingSafeEqual(token.signature, expected);
}

/** `now` in ms since 1970. */
export const hasExpired = (token: SasToken, now: number): boolean =>
  token.expiresAt + skewSeconds < now / 1000;
