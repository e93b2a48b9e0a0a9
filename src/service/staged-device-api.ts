// The device API with the scenarios before it: finds the one that is meant for a device, does what its plan says,
// and tells the log each time, so that nobody looks for a fault that was ordered.

import { randomUUID } from "node:crypto";
import { groupOf } from "./admission.ts";
import { invalidCertificate, unauthorized } from "./attestation/evidence.ts";
import {
  type Caller,
  type DeviceAnswer,
  type DeviceApi,
  type DeviceApiOptions,
  type DeviceRequest,
  evidenceOf,
  refuse,
  stillAssigning,
} from "./device-api.ts";
import { Refusal } from "./refusal.ts";
import { type Plan, plan } from "./scenario.ts";
import type { ScenarioTarget, TargetedScenario } from "./scenario-table.ts";
import { keyOf } from "./tables.ts";

/** Registrations whose last operation is remembered, to be named again. */
const mostRemembered = 10_000;

export function stage(deviceApi: DeviceApi, options: DeviceApiOptions): DeviceApi {
  const { store, clock, log, retryAfterSeconds } = options;
  const { scenarios } = store;
  const lastOperations = new Map<string, string>();

  /** The scenario that is nearest to the device: of its enrollment, else of its group, else of the service. */
  function scenarioFor(caller: Caller): TargetedScenario | undefined {
    const all = scenarios.all();
    if (all.length === 0) return undefined;
    const ofService = scenarios.get("service");
    if (store.enrollments.get(caller.registrationId)) {
      return scenarios.get(`enrollments/${caller.registrationId}`) ?? ofService;
    }
    // Who vouches for a device takes some arithmetic to find out.
    if (!all.some(({ target }) => target.startsWith("enrollmentGroups/"))) return ofService;
    const group = groupOf(evidenceOf(caller, clock.now()), store.enrollmentGroups.all());
    return (group && scenarios.get(`enrollmentGroups/${group.enrollmentGroupId}`)) ?? ofService;
  }

  function planFor({ scenario }: TargetedScenario, request: DeviceRequest): Plan | undefined {
    const isTpm = store.enrollments.get(request.registrationId)?.attestation.type === "tpm";
    const hasToken = request.authorization !== undefined;
    return plan(scenario, { ...request, attestation: isTpm ? "tpm" : "other", hasToken });
  }

  function tell(targeted: TargetedScenario, caller: Caller & { operation?: string }): void {
    const { target, scenario } = targeted;
    const { registrationId, transport, operation } = caller;
    const timesLeft = scenarios.use(targeted);
    const fields = { scenario: scenario.kind, target, registrationId, transport, operation, timesLeft };
    log.warn("scenario.applied", fields);
  }

  /** Asks the real API; an operation that is held back is not finished, whatever it says. */
  async function ask(request: DeviceRequest): Promise<DeviceAnswer> {
    const answer = await deviceApi.handle(request);
    if (request.operation !== "operation" || answer.status !== 200) return answer;
    const { registrationId, transport, operation, operationId = "" } = request;
    const target = scenarios.pollHeld(operationId);
    if (target === undefined) return answer;
    log.warn("scenario.applied", { scenario: "assigning", target, registrationId, transport, operation });
    const { requestId } = answer;
    return { ...stillAssigning(operationId, { registrationId, retryAfterSeconds }), requestId };
  }

  function refuseAsPlanned(how: NonNullable<Plan["refuse"]>, request: DeviceRequest): DeviceAnswer {
    const requestId = randomUUID();
    const now = clock.now();
    if (how === "silently") return { status: 503, body: {}, requestId, delivery: { close: "instead" } };
    if (how === "credential") {
      const reason = "a scenario takes every credential for a wrong one";
      const refusal = request.authorization
        ? unauthorized(evidenceOf(request, now), reason)
        : invalidCertificate(reason);
      return refuse(refusal, { requestId, now });
    }
    const refusal = new Refusal(429000, "Too many requests: the service is throttling.");
    return { ...refuse(refusal, { requestId, now }), retryAfterSeconds: how.throttledForSeconds };
  }

  /** A registration is answered 202, and its operation takes that many polls more. Not a refused one. */
  function holdBack(answer: DeviceAnswer, target: ScenarioTarget, polls: number): DeviceAnswer | undefined {
    const { operationId } = answer.body as { operationId?: string };
    if (!operationId) return undefined;
    if (polls > 0) scenarios.hold(operationId, target, polls);
    const { requestId } = answer;
    const body = { operationId, status: "assigning" };
    return { status: 202, body, requestId, retryAfterSeconds: Math.max(1, retryAfterSeconds) };
  }

  /** The registration is answered with the operation of the one before. Not a refused one, and not the first. */
  function nameLastOperation(answer: DeviceAnswer, registrationId: string): DeviceAnswer | undefined {
    const body = answer.body as { operationId?: string };
    if (!body.operationId) return undefined;
    const last = lastOperations.get(keyOf(registrationId));
    if (last !== undefined && store.operations.get(last)) {
      return { ...answer, body: { ...body, operationId: last } };
    }
    if (lastOperations.size >= mostRemembered) lastOperations.clear();
    lastOperations.set(keyOf(registrationId), body.operationId);
    return undefined;
  }

  /** The answer as planned; undefined when there is nothing in it to be changed. */
  function change(
    answer: DeviceAnswer,
    planned: Plan,
    { target, registrationId }: { target: ScenarioTarget; registrationId: string },
  ): DeviceAnswer | undefined {
    let changed: DeviceAnswer | undefined = answer;
    if (planned.spoilChallenge) changed = spoilChallenge(answer);
    if (planned.holdForPolls !== undefined) changed = holdBack(answer, target, planned.holdForPolls);
    if (planned.repeatOperation) changed = nameLastOperation(answer, registrationId);
    return changed && { ...changed, ...(planned.delivery && { delivery: planned.delivery }) };
  }

  return {
    knows: deviceApi.knows,

    welcomes(caller) {
      const targeted = scenarioFor(caller);
      if (targeted?.scenario.kind !== "disconnect") return deviceApi.welcomes(caller);
      tell(targeted, caller);
      return false;
    },

    async handle(request) {
      const targeted = scenarioFor(request);
      const planned = targeted && planFor(targeted, request);
      if (!planned) return ask(request);
      const { refuse: how, clockSkewMs = 0 } = planned;
      const answer = how ? refuseAsPlanned(how, request) : await ask({ ...request, clockSkewMs });
      const { registrationId } = request;
      const changed = change(answer, planned, { target: targeted.target, registrationId });
      if (!changed) return answer;
      tell(targeted, request);
      return changed;
    },
  };
}

/** One bit of the credential's signature is wrong: whatever TPM gets it, finds it damaged. */
function spoilChallenge(answer: DeviceAnswer): DeviceAnswer | undefined {
  const { authenticationKey, ...others } = answer.body as { authenticationKey?: string };
  if (authenticationKey === undefined) return undefined;
  const bytes = Buffer.from(authenticationKey, "base64");
  bytes[8] = (bytes[8] ?? 0) ^ 1;
  return { ...answer, body: { ...others, authenticationKey: bytes.toString("base64") } };
}
