// Three answers that are often taken for one: is the agent alive, is there an identity to use, and when did the
// service last confirm it. One object, whether the daemon tells it of itself or a command finds it on disk.

import type { Assignment } from "../assignment/assignment.ts";
import { type Generation, loadCurrent } from "../assignment/generations.ts";
import type { Config } from "../config/schema.ts";
import { asMooringError, type ErrorCode, type MooringError } from "../errors.ts";
import type { Clock } from "../system/clock.ts";
import type { Log } from "../system/log.ts";
import { forbidden } from "../system/permissions.ts";
import type { ClockState } from "../system/trusted-time.ts";
import { isAnnounced } from "./announcement.ts";
import type { Attempts } from "./attempt-history.ts";
import { openAttempts } from "./attempts.ts";
import { daysUntil } from "./certificate-end.ts";
import { type Decision, decide } from "./decide.ts";
import { needsItsHubKey } from "./hub-key.ts";
import { staysWithdrawn } from "./serve.ts";
import { lookAround } from "./situation.ts";
import { openTrustedTime } from "./time.ts";

/** Times are ISO 8601, UTC. */
export interface Status {
  readonly alive: Alive;
  readonly usable: Usable;
  readonly confirmed: {
    readonly at?: string;
    readonly by?: "service";
    /** Why it was not confirmed, or what the service says since. */
    readonly because?: string;
  };
  /** Absent when what it would be made from cannot be read: `trouble` says why. */
  readonly decision?: Decision;
  readonly trouble?: Failure;
  readonly lastFailure?: Failure & { readonly at: string; readonly trigger: string };
  /** When the daemon looks next of its own accord. */
  readonly nextAttempt?: { readonly at: string; readonly inMs: number; readonly because: string };
  readonly clock: ClockState;
}

interface Alive {
  readonly running: boolean;
  readonly pid?: number;
  readonly since?: string;
  readonly activity?: "starting" | "provisioning" | "waiting" | "resting" | "stopped";
}

interface Usable {
  readonly yes: boolean;
  /** Why not. */
  readonly because?: string;
  readonly assignment?: Assignment;
  readonly generation?: number;
  readonly withdrawn?: true;
  /** Of the device certificate, X.509 only; below zero when it is over. */
  readonly certificateDaysLeft?: number;
}

interface Failure {
  readonly code: ErrorCode;
  readonly message: string;
  readonly hint: string;
  readonly serviceErrorCode?: number;
  readonly trackingId?: string;
}

/**
 * The status where no daemon runs; its decision is what `mooring provision` would do now. Reads the state and the
 * identity's files. Throws what reading the state throws, and ERR_PERMISSION.
 */
export async function readStatus(
  config: Config,
  tools: { readonly clock: Clock; readonly log: Log },
): Promise<Status> {
  const directory = config.state.directory;
  const current = asReader(() => loadCurrent(directory, tools));
  const attempts = asReader(() => openAttempts(directory, { ...tools, isReadOnly: true }));
  return statusOf(config, {
    alive: { running: false },
    current,
    isPublished: isAnnouncedIn(config, current),
    ...(await outlook(config, current, attempts, tools)),
    attempts,
    clock: openTrustedTime(config, attempts, tools).state,
    now: tools.clock.now(),
  });
}

/** Whether there is an identity to use, where no daemon runs: as cheap as can be. Throws as readStatus() does. */
export function isUsable(config: Config, { log }: { readonly log: Log }): boolean {
  const current = asReader(() => loadCurrent(config.state.directory, { log }));
  return usable(config, current, { isPublished: isAnnouncedIn(config, current) }).yes;
}

const isAnnouncedIn = (config: Config, current: Generation | undefined): boolean =>
  current !== undefined && asReader(() => isAnnounced(config, current));

/** Who may not read the state is another user than the agent: there is nothing wrong with the directory. */
function asReader<Result>(read: () => Result): Result {
  try {
    return read();
  } catch (error) {
    const { cause, details } = asMooringError(error);
    throw (details.path && forbidden("the agent's state", details.path, cause)) || error;
  }
}

async function outlook(
  config: Config,
  current: Generation | undefined,
  attempts: Attempts,
  tools: { readonly clock: Clock; readonly log: Log },
): Promise<{ decision: Decision } | { trouble: MooringError }> {
  try {
    return {
      decision: decide(await lookAround(config, current, attempts, { ...tools, operatorAsks: false })),
    };
  } catch (error) {
    return { trouble: asMooringError(error) };
  }
}

/** What a status is made from. */
export interface Findings {
  readonly alive: Alive;
  readonly current: Generation | undefined;
  /** Whether programs of the gateway can read it already. */
  readonly isPublished?: boolean | undefined;
  readonly decision?: Decision | undefined;
  readonly trouble?: MooringError | undefined;
  readonly attempts: Pick<Attempts, "lastFailure" | "refusal">;
  readonly clock: ClockState;
  /** Until the daemon looks again of its own accord, and what for. */
  readonly next?: { readonly inMs: number; readonly because: string } | undefined;
  /** Milliseconds since 1970. */
  readonly now: number;
}

/** Reads nothing but the device certificate. Never throws. */
export async function statusOf(config: Config, findings: Findings): Promise<Status> {
  const { alive, current, isPublished, decision, trouble, attempts, clock, next, now } = findings;
  const { lastFailure } = attempts;
  const daysLeft =
    current && clock === "plausible" ? await certificateDaysLeft(config, current, now) : undefined;
  return {
    alive,
    usable: {
      ...usable(config, current, { isPublished }),
      ...(daysLeft !== undefined && { certificateDaysLeft: daysLeft }),
    },
    confirmed: confirmed(current, attempts.refusal, decision),
    ...(decision && { decision }),
    ...(trouble && {
      trouble: { code: trouble.code, message: trouble.message, hint: trouble.hint },
    }),
    ...(lastFailure && { lastFailure: shown(lastFailure) }),
    ...(next && {
      nextAttempt: {
        at: new Date(now + next.inMs).toISOString(),
        inMs: Math.round(next.inMs),
        because: next.because,
      },
    }),
    clock,
  };
}

/** Of the current generation; reads nothing but its marks. */
function usable(
  config: Config,
  current: Generation | undefined,
  { isPublished }: Pick<Findings, "isPublished">,
): Usable {
  if (!current) return { yes: false, because: "there is no assignment" };
  const { assignment, number: generation } = current;
  if (staysWithdrawn(config, current))
    return { yes: false, because: "the assignment was withdrawn", assignment, generation, withdrawn: true };
  if (needsItsHubKey(current))
    return { yes: false, because: "its hub key is not in the TPM yet", assignment, generation };
  if (!isPublished) return { yes: false, because: "it is not published yet", assignment, generation };
  return { yes: true, assignment, generation };
}

function confirmed(
  current: Generation | undefined,
  refusal: Attempts["refusal"],
  decision: Decision | undefined,
): Status["confirmed"] {
  if (!current) return { because: "the service has not assigned this gateway" };
  // A refusal of what another configuration asked for takes nothing back.
  const isTakenBack = decision && "trigger" in decision && decision.trigger === "disenrolled";
  const because = isTakenBack && refusal && { because: refusal.message };
  return { at: current.assignment.assignedAt, by: "service", ...because };
}

const shown = ({
  asking: _asking,
  ...failure
}: NonNullable<Attempts["lastFailure"]>): NonNullable<Status["lastFailure"]> => failure;

/** Undefined when the assignment is of another kind, or the certificate cannot be read, which others complain of. */
async function certificateDaysLeft(
  { identity }: Config,
  { assignment }: Generation,
  now: number,
): Promise<number | undefined> {
  if (assignment.attestation !== "x509" || !identity.x509) return undefined;
  try {
    const { x509Outline } = await import("../identity/x509.ts");
    return daysUntil((await x509Outline(identity.x509)).validTo, now);
  } catch {
    return undefined;
  }
}
