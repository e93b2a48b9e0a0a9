// Who may use the service API: the holder of a shared access policy's key, for what the policy permits, and for the
// part of the API that the token names.

import { decodeLeniently } from "../system/percent-encoding.ts";
import { hasExpired, parseSasToken, signedWith } from "./attestation/sas-token.ts";
import { type Permission, type Policy, permissions } from "./records.ts";
import { Refusal } from "./refusal.ts";

export interface ServiceCall {
  readonly authorization: string | undefined;
  /** `Host` header, with or without port. */
  readonly host: string | undefined;
  /** As in the request line, without the query. */
  readonly path: string;
  /** ms since 1970. */
  readonly now: number;
  /** Of a browser that is signed in to the portal: it stands in place of a token. */
  readonly signedIn?: Policy | undefined;
}

/**
 * One, any of several, or all there are: who sees the keys of all policies could do everything, and so has to be
 * allowed everything.
 */
export type NeededPermission = Permission | readonly Permission[] | "everything";

const unauthorized = (reason: string): Refusal => new Refusal(401002, "Unauthorized", reason);

/** The policy under which the call is made. Throws 401002, or 403000 when the policy does not permit it. */
export function authorize(call: ServiceCall, policies: readonly Policy[], needed: NeededPermission): Policy {
  const policy = call.signedIn ?? policyOfToken(call, policies);
  const lacking = missing(policy, needed);
  if (lacking !== undefined) {
    throw new Refusal(403000, `Forbidden: policy ${policy.name} lacks the permission ${lacking}.`);
  }
  return policy;
}

/** In words; undefined when nothing is missing. */
function missing({ permissions: granted }: Policy, needed: NeededPermission): string | undefined {
  if (typeof needed === "object") {
    return needed.some((each) => granted.includes(each)) ? undefined : needed.join(" or ");
  }
  const all = needed === "everything" ? permissions : [needed];
  return all.filter((each) => !granted.includes(each)).join(", ") || undefined;
}

function policyOfToken(call: ServiceCall, policies: readonly Policy[]): Policy {
  if (!call.authorization) throw unauthorized("no SAS token");
  const token = parseSasToken(call.authorization);
  if (!token) throw unauthorized("the authorization is not a SAS token");
  const policy = policies.find(({ name }) => name === token.keyName);
  if (!policy) throw unauthorized("the SAS token names no policy of this service");
  const keys = [policy.primaryKey, policy.secondaryKey];
  if (!keys.some((key) => signedWith(token, Buffer.from(key, "base64"))))
    throw unauthorized("the SAS token was made with another key");
  if (hasExpired(token, call.now)) throw unauthorized("the SAS token has run out");
  if (!covers(token.resource, call)) throw unauthorized(`the SAS token is for ${token.resource}`);
  return policy;
}

/** `sr` is a host and, maybe, the first segments of a path; a port may be named on either side. */
function covers(resource: string, { host = "", path }: ServiceCall): boolean {
  const [tokenHost = "", ...tokenPath] = resource.toLowerCase().split("/").filter(Boolean);
  const asked = path.toLowerCase().split("/").filter(Boolean).map(decodeLeniently);
  return (
    withoutPort(tokenHost) === withoutPort(host.toLowerCase()) &&
    tokenPath.every((segment, at) => segment === asked[at])
  );
}

const withoutPort = (host: string): string => host.replace(/:\d+$/, "");
