// The SAS token that opens the service API: signed with the key of a policy, for the whole of it or for a part.

import { createHmac } from "node:crypto";
import type { ServiceConnection } from "./connection-string.ts";

export interface TokenOptions {
  /** In seconds since 1970. */
  readonly expiresAt: number;
  /** The first segments of a path, such as `enrollments/gw-1`; all paths when absent. */
  readonly path?: string | undefined;
}

/** `SharedAccessSignature sr=…&sig=…&se=…&skn=…` (DPS, control access: security tokens). */
export function serviceToken(
  { host, keyName, key }: ServiceConnection,
  { expiresAt, path }: TokenOptions,
): string {
  const name = host.includes(":") ? `[${host}]` : host;
  const resource = encodeURIComponent(path === undefined ? name : `${name}/${path}`);
  const signature = createHmac("sha256", key.reveal()).update(`${resource}\n${expiresAt}`).digest("base64");
  return `SharedAccessSignature sr=${resource}&sig=${encodeURIComponent(signature)}&se=${expiresAt}&skn=${encodeURIComponent(keyName)}`;
}
