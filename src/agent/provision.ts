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
import { type OutputResult, publishOutputs } from "../assignment/outputs.ts";
import type { Config } from "../config/schema.ts";
import { MooringError } from "../errors.ts";
import type { TpmIdentity } from "../identity/tpm.ts";
import type { Connected, Tools } from "./connect.ts";
import { type Decision, decide, type Trigger } from "./decide.ts";
import { keepHubKey, needsItsHubKey, ownHubKeys, proveHubKey } from "./hub-key.ts";
import { closeIdentity, type Identity, openIdentity, wantedBy, withTpm } from "./identity.ts";
import { requirePinnedTpm } from "./pinned-tpm.ts";

export interface Provisioned {
  readonly assignment: Assignment;
  /** Absent when the saved assignment was kept. */
  readonly trigger?: Trigger;
  readonly outputs: readonly OutputResult[];
}

/**
 * Keeps a valid assignment, or registers for a new one; then publishes. One at a time per state directory.
 * @throws MooringError; whatever assignment there was before is then still the current one
 */
export async function provision(
  config: Config,
  { operatorAsks, ...tools }: Tools & { operatorAsks: boolean },
): Promise<Provisioned> {
  const stateDirectory = config.state.directory;

  // What this gateway has is served first, whatever comes of the rest.
  const before = loadCurrent(stateDirectory, tools);
  const served = before && (await publish(config, before, tools));

  const wanted = await wantedBy(config, before?.assignment, tools);
  const decideOn = (current: Generation | undefined): Decision =>
    decide({ assignment: current?.assignment, wanted, operatorAsks });
  if (served && decideOn(before).act === "keep" && !needsItsHubKey(before)) {
    tools.log.debug("assignment.kept", shown(before.assignment));
    return served;
  }

  prepareState(stateDirectory);
  using _lock = lockState(stateDirectory);
  const current = loadCurrent(stateDirectory, tools);
  const decision = decideOn(current);
  if (decision.act === "keep" && current) {
    if (needsItsHubKey(current)) {
      await withTpm(config, tools, async (identity) => {
        requirePinnedTpm(identity, current.assignment, { ...tools, operatorAsks });
        await keepHubKey(identity.tpm, current, stateDirectory, tools);
      });
    }
    return publish(config, current, tools);
  }
  if (decision.act === "keep") {
    throw new MooringError("ERR_INTERNAL", "decided to keep an assignment that is not there");
  }

  tools.log.info("provisioning.started", { trigger: decision.trigger, because: decision.because });
  const generation = await provisionAnew(config, current?.assignment, { ...tools, operatorAsks });
  tools.log.info("assignment.promoted", { ...shown(generation.assignment), trigger: decision.trigger });
  return { ...(await publish(config, generation, tools)), trigger: decision.trigger };
}

async function provisionAnew(
  config: Config,
  saved: Assignment | undefined,
  { operatorAsks, ...tools }: Tools & { operatorAsks: boolean },
): Promise<Generation> {
  const stateDirectory = config.state.directory;
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
      await prove(staged, identity);
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
  { clock }: Tools,
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
    assignedAt: new Date(clock.now()).toISOString(),
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

/** What was written can be read again, and the hub key in it works in this TPM. */
async function prove(staged: Staged, identity: Identity): Promise<void> {
  verifyStaged(staged);
  if (identity.source === "tpm") await proveHubKey(identity.tpm, staged);
}

async function publish(config: Config, { assignment }: Generation, tools: Tools): Promise<Provisioned> {
  const outputs = await publishOutputs(config.outputs, assignment, tools);
  return { assignment, outputs };
}

const shown = ({ assignedHub, deviceId, registrationId, transport }: Assignment): Record<string, string> => ({
  assignedHub,
  deviceId,
  registrationId,
  transport,
});
