// The keys of the service API's policies, and how one is replaced while the other goes on working.

import * as v from "valibot";
import { jsonObject, readInput } from "./json-input.ts";
import { newPolicyKey } from "./policy-table.ts";
import type { Policy } from "./records.ts";
import { Refusal } from "./refusal.ts";
import type { Store } from "./store.ts";

const rotation = jsonObject({ key: v.picklist(["primary", "secondary"]) });

/** Makes a new primary or secondary key. Throws 404000 when there is no such policy. */
export function rotateKey({ policies, transaction }: Store, name: string, body: unknown): Policy {
  const { key } = readInput(rotation, body);
  return transaction(() => {
    const policy = policies.all().find((each) => each.name.toLowerCase() === name.toLowerCase());
    if (!policy) throw new Refusal(404000, `Policy not found: ${JSON.stringify(name)}.`);
    const rotated: Policy = { ...policy, [`${key}Key`]: newPolicyKey() };
    policies.put(rotated);
    return rotated;
  });
}
