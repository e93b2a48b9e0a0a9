// How an operator reaches the service API: host, policy and key, in the one line that Azure's tools use too.

import { MooringError } from "../errors.ts";
import { Secret } from "../system/secret.ts";

export interface ServiceConnection {
  readonly host: string;
  readonly port: number;
  /** Name of the shared access policy. */
  readonly keyName: string;
  readonly key: Secret;
}

/** Reads `HostName=host[:port];SharedAccessKeyName=…;SharedAccessKey=…`, in any order and case. The text is a secret. */
export function parseConnectionString(text: string): ServiceConnection {
  const parts = new Map<string, string>();
  for (const part of text.trim().split(";").filter(Boolean)) {
    const at = part.indexOf("=");
    parts.set(part.slice(0, at).trim().toLowerCase(), part.slice(at + 1).trim());
  }
  const host = /^([A-Za-z0-9_.-]{1,253}|\[[0-9A-Fa-f:.]+\])(?::(\d{1,5}))?$/.exec(take(parts, "HostName"));
  if (!host?.[1]) throw invalid("HostName is not a host, or host:port");
  const key = Buffer.from(take(parts, "SharedAccessKey"), "base64");
  if (key.length === 0) throw invalid("SharedAccessKey is not base64");
  return {
    host: host[1].replace(/^\[|\]$/g, ""),
    port: Number(host[2] ?? 443),
    keyName: take(parts, "SharedAccessKeyName"),
    key: new Secret(key),
  };
}

function take(parts: ReadonlyMap<string, string>, name: string): string {
  const value = parts.get(name.toLowerCase());
  if (!value) throw invalid(`${name} is missing`);
  return value;
}

const invalid = (what: string): MooringError =>
  new MooringError("ERR_CONNECTION_STRING", `cannot use the connection string of the service: ${what}`);
