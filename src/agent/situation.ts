// The facts of this gateway that decisions are made from, gathered without network or TPM: by whoever is to act, and by
// whoever only wants to know.

import { type Generation, wasDamaged } from "../assignment/generations.ts";
import type { Config } from "../config/schema.ts";
import type { Tools } from "./connect.ts";
import type { Facts } from "./decide.ts";
import { wantedBy } from "./identity.ts";
import { staysWithdrawn } from "./serve.ts";

export interface Situation {
  readonly facts: Facts;
}

/** `current` is what loadCurrent() found. Throws what reading the configured identity's files throws. */
export async function lookAround(
  config: Config,
  current: Generation | undefined,
  { operatorAsks, ...tools }: Pick<Tools, "clock" | "log"> & { operatorAsks: boolean },
): Promise<Situation> {
  const { onChange, onDisenrolled } = config.reprovision;
  return {
    facts: {
      assignment: current?.assignment,
      isLost: !current && wasDamaged(config.state.directory),
      isWithdrawn: current !== undefined && staysWithdrawn(config, current),
      wanted: await wantedBy(config, current?.assignment, tools),
      policy: { onChange, onDisenrolled },
      operatorAsks,
    },
  };
}
