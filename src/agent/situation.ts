// The facts of this gateway that decisions are made from, gathered without network or TPM: by whoever is to act, and by
// whoever only wants to know.

import { type Generation, wasDamaged } from "../assignment/generations.ts";
import type { Config } from "../config/schema.ts";
import { machineKey } from "../system/facts.ts";
import type { Attempts } from "./attempt-history.ts";
import type { Tools } from "./connect.ts";
import type { Facts, Wanted } from "./decide.ts";
import { wantedBy } from "./identity.ts";
import { staysWithdrawn } from "./serve.ts";

/** `current` is what loadCurrent() found. Throws what reading the configured identity's files throws. */
export async function lookAround(
  config: Config,
  current: Generation | undefined,
  attempts: Pick<Attempts, "refusal" | "confirmedAt">,
  { operatorAsks, ...tools }: Pick<Tools, "clock" | "log"> & { operatorAsks: boolean },
): Promise<Facts> {
  const { onChange, onDisenrolled } = config.reprovision;
  const wanted = await wantedBy(config, current?.assignment, tools);
  const { refusal } = attempts;
  // Another configuration may have been refused since, or this before it was assigned after all, in an attempt that was
  // cut off before its end was written down: neither says anything about the enrollment of this assignment.
  const isOfThis = refusal?.asking === asking(wanted) && refusal.beside === current?.assignment.assignedAt;
  const disenrolled = isOfThis ? refusal.code : undefined;
  const timerDueInMs = current && timerOf(config, current, attempts, tools.clock.now());
  return {
    assignment: current?.assignment,
    isLost: !current && wasDamaged(config.state.directory),
    isWithdrawn: current !== undefined && staysWithdrawn(config, current),
    wanted,
    policy: { onChange, onDisenrolled },
    operatorAsks,
    ...(disenrolled && { disenrolled }),
    ...(timerDueInMs !== undefined && { timerDueInMs }),
  };
}

/** What is asked for, in one word: failures are remembered together with it. */
export const asking = ({ endpoint, idScope, attestation, registrationId, publicKeySha256 }: Wanted): string =>
  [endpoint, idScope, attestation, registrationId, publicKeySha256].join(" ").toLowerCase();

/** What tells this gateway apart from the others of its fleet, and stays the same. */
export const deviceKey = ({ assignment, wanted }: Pick<Facts, "assignment" | "wanted">): string =>
  assignment?.publicKeySha256 ?? wanted.publicKeySha256 ?? machineKey();

/** ms until `[reprovision] every` is over. */
function timerOf(
  { reprovision: { everyMs } }: Config,
  { assignment: { assignedAt } }: Generation,
  { confirmedAt = assignedAt }: Pick<Attempts, "confirmedAt">,
  now: number,
): number | undefined {
  if (everyMs === undefined) return undefined;
  return Math.max(Date.parse(confirmedAt), Date.parse(assignedAt)) + everyMs - now;
}
