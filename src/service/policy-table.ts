// The shared access policies of the service API, in the order in which they were made.

import { randomBytes } from "node:crypto";
import type { DatabaseSync } from "node:sqlite";
import type { Policy } from "./records.ts";
import { documents } from "./tables.ts";

export interface PolicyTable {
  /** The first is `provisioningserviceowner`, which may do everything. */
  all(): readonly Policy[];
  /** Replaces the policy of the same name. */
  put(policy: Policy): void;
  /** To be called when a transaction was rolled back. */
  forget(): void;
}

export const newPolicyKey = (): string => randomBytes(64).toString("base64");

export function policyTable(db: DatabaseSync): PolicyTable {
  const list = db.prepare("SELECT document FROM policy ORDER BY position");
  const update = db.prepare("UPDATE policy SET document = ? WHERE name = ?");
  let known: readonly Policy[] | undefined;
  return {
    all: () => {
      known ??= documents<Policy>(list.all());
      return known;
    },
    put(policy) {
      update.run(JSON.stringify(policy), policy.name);
      known = undefined;
    },
    forget() {
      known = undefined;
    },
  };
}
