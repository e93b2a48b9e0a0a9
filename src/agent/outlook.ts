// The daemon's next decision, and when it can act on it: the situation, and on top of it what manners towards the service
// and the clock ask for. A person who asks has waited enough.

import { type Generation, loadCurrent } from "../assignment/generations.ts";
import type { Config } from "../config/schema.ts";
import { asMooringError, type ErrorCode } from "../errors.ts";
import type { Attempts, Pause } from "./attempt-history.ts";
import type { Tools } from "./connect.ts";
import { type Decision, decide, type Facts, type Trigger } from "./decide.ts";
import { deviceKey, lookAround } from "./situation.ts";
import { openTrustedTime } from "./time.ts";

export interface Outlook {
  readonly current: Generation | undefined;
  readonly facts: Facts;
  readonly decision: Decision;
  /** What a person wants to know from this look. */
  readonly asked?: Circumstances["asked"];
}

export interface Circumstances {
  /** A person asked for a new registration, or to look again now. */
  readonly asked?: "operator" | "start" | undefined;
  /** The last attempt ended so, and nothing has changed since. */
  readonly finalFailure?: ErrorCode | undefined;
  /** The right time was waited for long enough: the next attempt does not look at the clock. */
  readonly isClockWaitGivenUp: boolean;
}

/** Throws what reading the state and the identity's files throws. */
export async function lookAhead(
  config: Config,
  attempts: Attempts,
  { asked, finalFailure, isClockWaitGivenUp }: Circumstances,
  tools: Pick<Tools, "clock" | "log">,
): Promise<Outlook> {
  const current = loadCurrent(config.state.directory, tools);
  const plain = await lookAround(config, current, attempts, { ...tools, operatorAsks: asked === "operator" });
  if (asked) {
    // Once a while is anybody's right; a unit that is restarted for ever is no person.
    const facts: Facts = { ...plain, pause: () => attempts.budgetPause() };
    return { current, facts, decision: decide(facts), asked };
  }

  const clock = openTrustedTime(config, attempts, tools);
  const facts: Facts = {
    ...plain,
    ...(finalFailure && { finalFailure }),
    pause: (trigger) => attempts.pause() ?? splayFor(trigger, config, attempts, plain),
    isClockPlausible: isClockWaitGivenUp || clock.state === "plausible",
  };
  return { current, facts, decision: decide(facts) };
}

const stateCodes: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  "ERR_STATE_DIRECTORY",
  "ERR_STATE_CORRUPT",
  "ERR_STATE_FULL",
]);

/** Whether it was the state that could not be read, and not the identity. */
export const isOfState = (thrown: unknown): boolean => stateCodes.has(asMooringError(thrown).code);

/** What reaches a whole fleet in one moment, each gateway acts on in its own. */
function splayFor(trigger: Trigger, config: Config, attempts: Attempts, facts: Facts): Pause | undefined {
  return attempts.splay(trigger, deviceKey(facts), windowOf(trigger, config));
}

/** Timers run out together, too, where the power was away from all. */
function windowOf(trigger: Trigger, { reprovision: { splayMs, firstBootSplayMs } }: Config): number {
  switch (trigger) {
    case "config-changed":
    case "timer":
      return splayMs;
    case "first-boot":
      return firstBootSplayMs;
    default:
      return 0;
  }
}
