// What a device may ask, whatever the socket it came through: register, ask for an operation, look up its
// registration. Every mistake of a device gets an answer; nothing is thrown for it.

import { randomUUID } from "node:crypto";
import type { DeviceRegistration, OperationStatus } from "../registration/wire.ts";
import type { Clock } from "../system/clock.ts";
import type { Log } from "../system/log.ts";
import { judge } from "./admission.ts";
import { isKnownApiVersion } from "./api-versions.ts";
import type { Evidence } from "./attestation/evidence.ts";
import { createTpmChallenges } from "./attestation/tpm-challenge.ts";
import { readDeviceRegistration } from "./device-request-body.ts";
import { createOperations, type Registrant } from "./operations.ts";
import { createMeter } from "./quotas.ts";
import { Refusal, refusalBody, Throttled } from "./refusal.ts";
import { registrationState } from "./registrar.ts";
import { isRegistrationId } from "./registration-id.ts";
import type { Delivery } from "./scenario.ts";
import type { Store } from "./store.ts";
import { keyOf } from "./tables.ts";
import type { Webhook } from "./webhook.ts";

export interface DeviceRequest {
  readonly transport: "https" | "mqtt" | "mqtt-ws";
  readonly operation: "register" | "operation" | "lookup";
  /** Percent-decoded, like the other ids. */
  readonly idScope: string;
  readonly registrationId: string;
  readonly operationId?: string;
  readonly apiVersion: string | undefined;
  /** Raw; may be empty, a space, or garbage. */
  readonly body: Uint8Array;
  /** The whole SAS token as received: HTTP header or MQTT password. */
  readonly authorization?: string;
  /** DER, leaf first, as the TLS client sent them; empty when it sent none. */
  readonly certificates: readonly Buffer[];
  /** How far off the clock is by which the request is judged; only in a scenario. */
  readonly clockSkewMs?: number;
}

/** What is known of a device before it asks anything. */
export type Caller = Omit<DeviceRequest, "operation" | "operationId" | "body">;

export interface DeviceAnswer {
  /** HTTP or topic status. */
  readonly status: number;
  /** To be sent as JSON. */
  readonly body: unknown;
  /** On 202 and 429 only. */
  readonly retryAfterSeconds?: number;
  /** For `x-ms-request-id`; the trackingId of an error body is the same. */
  readonly requestId: string;
  /** Only in a scenario. */
  readonly delivery?: Delivery;
}

export interface DeviceApi {
  handle(request: DeviceRequest): Promise<DeviceAnswer>;
  /** Whether a device that says CONNECT is let in; what its credential is worth it hears later. */
  welcomes(caller: Caller): boolean;
  /** Whether the credential is that of the device. */
  knows(caller: Caller): boolean;
}

export interface DeviceApiOptions {
  readonly store: Store;
  readonly clock: Clock;
  readonly log: Log;
  /** What 202 asks for, 1 to 300. With 0 a registration is finished in the first answer, as 200, if it can be. */
  readonly retryAfterSeconds: number;
  /** Asked for the hub of a device whose enrollment says so. */
  readonly webhook: Webhook;
  /** How long an operation stays `assigning`; 0 unless given. */
  readonly assigningMs?: number;
}

type Outcome = Omit<DeviceAnswer, "requestId" | "delivery">;

export function createDeviceApi(options: DeviceApiOptions): DeviceApi & { close(): Promise<void> } {
  const { store, clock, log, retryAfterSeconds } = options;
  const challenges = createTpmChallenges(clock);
  const countRegistration = createMeter(clock);
  const operations = createOperations({ assigningMs: 0, ...options });
  const nowFor = ({ clockSkewMs = 0 }: DeviceRequest): number => clock.now() + clockSkewMs;

  function answer(request: DeviceRequest): Outcome {
    const apiVersion = verifyAddress(request, store.idScope);
    if (request.operation === "register") countRegistration(store.quotas.registrationsPerMinute);
    // Polls carry whatever their client likes: nothing, a space, or the registration again.
    const body = request.operation === "operation" ? {} : readDeviceRegistration(request.body);
    verifySameId(request, body);

    const judgement = judge(evidenceOf(request, nowFor(request), body), { store, challenges });
    if (judgement.verdict === "disabled") return { status: 200, body: disabled(request) };
    if (judgement.verdict === "challenged") {
      log.debug("device.challenged", { registrationId: request.registrationId });
      return { status: 401, body: judgement.challenge };
    }
    if (request.operation === "lookup") return answerLookup(request);
    const { payload } = body;
    const { admission } = judgement;
    const registrant = { ...request, apiVersion, admission, ...(payload !== undefined && { payload }) };
    return request.operation === "operation"
      ? answerPoll(request.operationId ?? "", registrant)
      : answerRegister(registrant);
  }

  function answerRegister(registrant: Registrant): Outcome {
    const begun = operations.begin(registrant);
    const { operationId, status } = begun;
    if (retryAfterSeconds === 0 && status !== "assigning") return { status: 200, body: begun };
    // Who has to poll does not do so without a pause.
    const pause = { retryAfterSeconds: Math.max(1, retryAfterSeconds) };
    return { status: 202, body: { operationId, status: "assigning" }, ...pause };
  }

  function answerPoll(operationId: string, registrant: Registrant): Outcome {
    const found = operations.poll(operationId, registrant);
    if (!found) {
      throw new Refusal(404202, "Operation not found.", "no such operation of this registration");
    }
    return found.status === "assigning"
      ? stillAssigning(operationId, { ...registrant, retryAfterSeconds })
      : { status: 200, body: found };
  }

  function answerLookup({ registrationId }: DeviceRequest): Outcome {
    const registration = store.registrations.get(registrationId);
    if (!registration) throw new Refusal(404202, "Registration not found.");
    return { status: 200, body: registrationState(registration) };
  }

  return {
    close: operations.close,
    welcomes: () => true,
    knows(caller) {
      try {
        judge(evidenceOf(caller, clock.now()), { store, challenges });
        return true;
      } catch (error) {
        if (error instanceof Refusal) return false;
        throw error;
      }
    },
    async handle(request) {
      const requestId = randomUUID();
      try {
        return { ...answer(request), requestId };
      } catch (error) {
        const { registrationId, transport, operation } = request;
        const fields = { registrationId, transport, operation, requestId };
        if (error instanceof Refusal) {
          log.warn("device.refused", { ...fields, code: error.errorCode, reason: error.reason });
          return refuse(error, { requestId, now: nowFor(request) });
        }
        log.error("device.error", { ...fields, error });
        const failure = new Refusal(500000, "Internal server error.");
        return refuse(failure, { requestId, now: nowFor(request) });
      }
    },
  };
}

/** `now` in ms since 1970. */
export const refuse = (
  error: Refusal,
  { requestId, now }: { requestId: string; now: number },
): DeviceAnswer => ({
  status: error.status,
  body: refusalBody(error, { requestId, now }),
  requestId,
  ...(error instanceof Throttled && { retryAfterSeconds: error.retryAfterSeconds }),
});

/** A poll's answer while there is no other. */
export const stillAssigning = (
  operationId: string,
  { registrationId, retryAfterSeconds }: { registrationId: string; retryAfterSeconds: number },
): Outcome => ({
  status: 202,
  body: { operationId, status: "assigning", registrationState: { registrationId, status: "assigning" } },
  retryAfterSeconds: Math.max(1, retryAfterSeconds),
});

/** The api-version, if everything in the address can be meant. */
function verifyAddress({ apiVersion, idScope, registrationId }: DeviceRequest, ours: string): string {
  if (!isKnownApiVersion(apiVersion)) {
    throw new Refusal(400000, apiVersion ? "api-version: not supported" : "api-version: missing");
  }
  if (idScope.toLowerCase() !== ours.toLowerCase()) {
    throw new Refusal(404000, "ID scope not found.", "another id scope");
  }
  if (!isRegistrationId(registrationId)) {
    throw new Refusal(
      400000,
      "registrationId: 1 to 128 of A-Z a-z 0-9 - . _ : and a letter, a digit or - at the end",
    );
  }
  return apiVersion;
}

function verifySameId(request: DeviceRequest, body: DeviceRegistration): void {
  if (body.registrationId !== undefined && keyOf(body.registrationId) !== keyOf(request.registrationId)) {
    throw new Refusal(400000, "registrationId: the body names another one than the address");
  }
}

/** What the device shows, at `now` (ms since 1970). */
export const evidenceOf = (caller: Caller, now: number, { tpm }: DeviceRegistration = {}): Evidence => ({
  transport: caller.transport,
  idScope: caller.idScope,
  registrationId: caller.registrationId,
  ...(caller.authorization && { authorization: caller.authorization }),
  certificates: caller.certificates,
  ...(tpm && { tpm }),
  now,
});

/** Azure's answer has no operation to ask for. */
const disabled = ({ registrationId }: DeviceRequest): OperationStatus => ({
  operationId: "",
  status: "disabled",
  registrationState: { registrationId, status: "disabled" },
});
