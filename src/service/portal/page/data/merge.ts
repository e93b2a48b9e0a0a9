// Two people change one enrollment. What I touched stays mine; what I left alone becomes theirs; where both of us
// changed the same thing differently, it is said.

import type { Draft } from "./draft.ts";

export interface Merge {
  readonly draft: Draft;
  /** What they changed since I began, and whether I had changed it as well. */
  readonly theirs: readonly { readonly field: keyof Draft; readonly disputed: boolean }[];
}

/** `base` is what both of us began with. */
export function mergeDrafts(base: Draft, mine: Draft, current: Draft): Merge {
  const fields = Object.keys(base) as (keyof Draft)[];
  const changedByThem = fields.filter((field) => !same(base[field], current[field]));
  const changedByMe = new Set(fields.filter((field) => !same(base[field], mine[field])));
  const taken = changedByThem.filter((field) => !changedByMe.has(field));
  return {
    draft: { ...mine, ...Object.fromEntries(taken.map((field) => [field, current[field]])) },
    theirs: changedByThem.map((field) => ({
      field,
      disputed: changedByMe.has(field) && !same(mine[field], current[field]),
    })),
  };
}

export const sameDraft = (one: Draft, other: Draft): boolean =>
  (Object.keys(one) as (keyof Draft)[]).every((field) => same(one[field], other[field]));

const same = (one: unknown, other: unknown): boolean => JSON.stringify(one) === JSON.stringify(other);

export const fieldNames: Record<keyof Draft, string> = {
  id: "Name",
  attestation: "Attestation",
  primary: "Primary certificate",
  secondary: "Secondary certificate",
  endorsementKey: "Endorsement key",
  ownKeys: "Symmetric keys",
  primaryKey: "Primary key",
  secondaryKey: "Secondary key",
  deviceId: "Device id",
  allocation: "Allocation policy",
  hubs: "Hubs",
  webhookUrl: "Webhook",
  reprovisioning: "Re-provisioning",
  enabled: "Status",
  iotEdge: "IoT Edge",
  twin: "Initial twin",
};
