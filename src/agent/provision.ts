// One provisioning as a transaction: serve what there is → decide → open the identity → register → stage → prove →
// promote → keep the hub key → publish. Until `promote` the old assignment stands untouched; after it the new one is
// already whole.

import type { Assignment } from "../assignment/assignment.ts";
import { inputsFingerprint } from "../assignment/assignment.ts";
import {
  discard,
  type Generation,
  loadCurrent,
  prepareState,
  promote,
  type Staged,
  stage,
  verifyStaged,
} from "../assignment/generations.ts";
import { lockState } from "../assignment/lock.ts";
import type { OutputResult } from "../assignment/outputs.ts";
import { requirePublishable } from "../assignment/render.ts";
import type { Config } from "../config/schema.ts";
import { asMooringError, MooringError } from "../errors.ts";
import type { TpmIdentity } from "../identity/tpm.ts";
import { recordAttempt } from "./attempt.ts";
import { tooManyAttempts } from "./attempt-history.ts";
import { openAttempts } from "./attempts.ts";
import { blamingClock } from "./clock-fault.ts";
import type { Connected, LineTools, Tools } from "./connect.ts";
import { decide, onlyConfirms, type Reason, type Trigger } from "./decide.ts";
import { keepHubKey, needsItsHubKey, ownHubKeys, proveHubKey } from "./hub-key.ts";
import { closeIdentity, type Identity, openIdentity, withTpm } from "./identity.ts";
import { requirePinnedTpm } from "./pinned-tpm.ts";
import { serve, staysWithdrawn, withdraw } from "./serve.ts";
import { lookAround } from "./situation.ts";
import { openTrustedTime } from "./time.ts";

export interface Provisioned {
  readonly assignment: Assignment;
  /** Absent when the saved assignment was kept. */
  readonly trigger?: Trigger;
  /** What would be done, had the policy not left it to a person; after a roll-back, what the configuration asks for. */
  readonly pending?: Reason;
  readonly outputs: readonly OutputResult[];
}

/**
 * Keeps a valid assignment, or registers for a new one; then publishes. Tries at once: the pauses between attempts
 * are the daemon's. Only the budget of attempts holds it back, and not where an operator asks.
 * @throws MooringError; whatever assignment there was before is then still the current one
 */
export async function provision(
  config: Config,
  { operatorAsks, ...tools }: Tools & { operatorAsks: boolean },
): Promise<Provisioned> {
  const current = loadCurrent(config.state.directory, tools);
  // What this gateway has is served first, whatever comes of the rest.
  const served = current && (await serve(config, current, tools));

  const attempts = openAttempts(config.state.directory, tools);
  const facts = await lookAround(config, current, attempts, { ...tools, operatorAsks });
  const decision = decide(facts);
  if (decision.act === "provision") {
    const attempt = async (): Promise<Provisioned> => {
      // A unit that is restarted for ever asks no more often than the daemon would.
      const held = operatorAsks ? undefined : attempts.budgetPause();
      if (held) throw tooManyAttempts(held);
      // Who asks by hand does not wait for the clock, and is told if it was that.
      const waitMs = operatorAsks ? 0 : config.daemon.clockWaitMs;
      await openTrustedTime(config, attempts, tools).awaitPlausible({ waitMs, signal: tools.signal });
      return recordAttempt(config, attempts, { ...facts, ...decision }, () =>
        provisionAnew(config, decision, current?.number, tools),
      );
    };
    return served && onlyConfirms(decision.trigger)
      ? attempt().catch((error) => keep(served, error, tools))
      : attempt();
  }
  if (!current || !served) throw new MooringError("ERR_INTERNAL", `decided to ${decision.act} nothing`);
  if (decision.act === "withdraw") return withdraw(config, current, decision, tools);
  if (needsItsHubKey(current)) await mendHubKey(config, tools);
  tools.log.debug("assignment.kept", shown(current.assignment));
  return { ...served, ...("pending" in decision && { pending: decision.pending }) };
}

/** What is not confirmed just now is kept all the same, loudly: a boot without network, or of a disabled gateway, is one. */
function keep(served: Provisioned, thrown: unknown, { log, signal }: Tools): Provisioned {
  signal.throwIfAborted();
  const { code, message, hint } = asMooringError(thrown);
  log.warn("assignment.unconfirmed", { code, error: message, hint });
  return served;
}

/**
 * Registers, and replaces the generation `decidedOn`; if that is not the current one any more, somebody else was faster
 * and it is kept. One at a time per state directory.
 * @throws MooringError; whatever assignment there was before is then still the current one
 */
export async function provisionAnew(
  config: Config,
  { trigger, because }: Reason,
  decidedOn: number | undefined,
  tools: Tools,
): Promise<Provisioned> {
  const stateDirectory = config.state.directory;
  prepareState(stateDirectory);
  using _lock = lockState(stateDirectory);
  const current = loadCurrent(stateDirectory, tools);
  if (current && current.number !== decidedOn) return serve(config, current, tools);

  tools.log.info("provisioning.started", { trigger, because });
  const time = openTrustedTime(config, openAttempts(stateDirectory, tools), tools);
  const generation = await blamingClock(time, () =>
    replace(config, current, { ...tools, time, operatorAsks: trigger === "operator" }),
  );
  tools.log.info("assignment.promoted", { ...shown(generation.assignment), trigger });
  return { ...(await serve(config, generation, tools)), trigger };
}

/** After a cut between promoting and persisting, the hub key of the current generation takes its handle now. */
export async function mendHubKey(config: Config, tools: Tools): Promise<void> {
  const stateDirectory = config.state.directory;
  using _lock = lockState(stateDirectory);
  const current = loadCurrent(stateDirectory, tools);
  if (!current || !needsItsHubKey(current)) return;
  await withTpm(config, tools, async (identity) => {
    requirePinnedTpm(identity, current.assignment, { ...tools, operatorAsks: false });
    await keepHubKey(identity.tpm, current, stateDirectory, tools);
  });
  // It could not be announced without.
  await serve(config, current, tools);
}

async function replace(
  config: Config,
  current: Generation | undefined,
  { operatorAsks, ...tools }: LineTools & { operatorAsks: boolean },
): Promise<Generation> {
  const stateDirectory = config.state.directory;
  const saved = current?.assignment;
  const published = current && !staysWithdrawn(config, current) ? saved : undefined;
  const identity = await openIdentity(config, tools);
  try {
    tools.log.debug("identity.opened", { source: identity.source, registrationId: identity.registrationId });
    if (identity.source === "tpm") {
      requirePinnedTpm(identity, saved, { ...tools, operatorAsks });
      await refuseForeignOccupant(identity, config, stateDirectory);
    }

    // Not imported above: keeping an assignment needs no line and should not pay for it.
    const { registerWithService } = await import("./connect.ts");
    const answer = await registerWithService(config, identity, tools);
    const staged = stage(stateDirectory, contentOf(config, identity, answer, tools));
    try {
      await prove(staged, identity, { published, outputs: config.outputs });
    } catch (error) {
      discard(staged);
      throw error;
    }
    const generation = promote(stateDirectory, staged);
    if (identity.source === "tpm") await keepHubKey(identity.tpm, generation, stateDirectory, tools);
    return generation;
  } finally {
    await closeIdentity(identity);
  }
}

/** Better to stop before the service is asked than to hold a key that has nowhere to live. */
async function refuseForeignOccupant(
  { tpm }: TpmIdentity,
  config: Config,
  stateDirectory: string,
): Promise<void> {
  const handle = config.identity.tpm.hubKeyHandle;
  await tpm.requireOwnHandle(handle, { ours: ownHubKeys(stateDirectory) });
}

function contentOf(
  config: Config,
  identity: Identity,
  answer: Connected,
  { time }: LineTools,
): { assignment: Assignment; hubKey?: Uint8Array } {
  const { endpoint, idScope } = config.provisioning;
  const { registrationId, attestation, publicKeySha256 } = identity;
  const { assignedHub, deviceId, transport, operationId, substatus, etag, payload, hubKey } = answer;
  const assignment: Assignment = {
    schemaVersion: 1,
    assignedHub,
    deviceId,
    registrationId,
    idScope,
    endpoint,
    attestation,
    transport,
    ...(substatus !== undefined && { substatus }),
    assignedAt: new Date(time.now()).toISOString(),
    operationId,
    ...(etag !== undefined && { etag }),
    ...(payload !== undefined && { payload }),
    ...(hubKey &&
      identity.source === "tpm" && {
        hubKey: {
          handle: config.identity.tpm.hubKeyHandle,
          name: identity.tpm.nameOf(hubKey.wrapped).toString("hex"),
        },
      }),
    ...(identity.source === "tpm" && { tpm: identity.names }),
    publicKeySha256,
    inputs: inputsFingerprint({ endpoint, idScope, registrationId, publicKeySha256 }),
  };
  return { assignment, ...(hubKey && { hubKey: hubKey.wrapped }) };
}

/** What was written can be read again and published, and the hub key in it works in this TPM. */
async function prove(
  staged: Staged,
  identity: Identity,
  { published, outputs }: { published: Assignment | undefined; outputs: Config["outputs"] },
): Promise<void> {
  verifyStaged(staged);
  // Where no other can be read, one that only some outputs can hold is better than none.
  if (published) requirePublishable(outputs, staged.assignment, published);
  if (identity.source === "tpm") await proveHubKey(identity.tpm, staged);
}

const shown = ({ assignedHub, deviceId, registrationId, transport }: Assignment): Record<string, string> => ({
  assignedHub,
  deviceId,
  registrationId,
  transport,
});
