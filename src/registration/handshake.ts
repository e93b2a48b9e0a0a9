// One registration with DPS, top to bottom: register → (TPM challenge → activate → sign) → operation id → poll →
// assigned. All I/O goes through the transport; time, chance and keys come in from outside.

import { type ErrorCode, MooringError } from "../errors.ts";
import type { Clock } from "../system/clock.ts";
import type { Log } from "../system/log.ts";
import { type AssignedOperation, readAssigned, readChallenge, readOperation, refusal } from "./answers.ts";
import { backOffMs, pollDelayMs } from "./retry.ts";
import { type Sign, sasToken } from "./sas.ts";
import type { DpsAnswer, DpsRequest, Transport } from "./transport.ts";
import { type DeviceRegistration, type OperationStatus, registrationResource } from "./wire.ts";

/** What proves the device to DPS. X.509 does it inside TLS, so there is nothing to sign here. */
export type Credential =
  | { readonly attestation: "x509" }
  | { readonly attestation: "symmetricKey"; readonly sign: Sign }
  | {
      readonly attestation: "tpm";
      /** TPM2B_PUBLIC, size prefix included. */
      readonly endorsementKey: Uint8Array;
      readonly storageRootKey: Uint8Array;
      /** Turns an authentication key from the wire into a key only this TPM can use, and keeps nothing in the TPM. */
      activate(authenticationKey: Uint8Array): Promise<ActivatedKey>;
    };

interface ActivatedKey {
  /** TPM2B_PUBLIC ‖ TPM2B_PRIVATE: wrapped, useless elsewhere. */
  readonly wrapped: Uint8Array;
  readonly sign: Sign;
}

export interface Registration {
  readonly idScope: string;
  readonly registrationId: string;
  readonly credential: Credential;
  /** Goes to the service (and its custom allocation) as it is. */
  readonly payload?: unknown;
  readonly transport: Transport;
  readonly clock: Clock;
  /** The time to date tokens by, ms since 1970, when somebody knows it better than the clock. */
  readonly tokenTime?: () => number;
  readonly random: () => number;
  readonly log: Log;
  /** Hears the time that the service says it is (`now`), or that was (`since`), milliseconds since 1970. */
  readonly onServiceTime?: (at: number, kind: "now" | "since") => void;
  /** Whoever asks repeats the whole attempt at a pace of its own: a register request that fails is not repeated here. */
  readonly isPaced?: boolean;
  /** Ends the attempt; carries the overall deadline. */
  readonly signal: AbortSignal;
  /** Milliseconds left of the overall deadline, so that a wait which cannot end in time is not begun. */
  readonly remainingMs: () => number;
}

/** The validated answer: where this device belongs, and with TPM attestation the hub's key, wrapped by the TPM. */
export interface Assigned extends Omit<AssignedOperation, "hubAuthenticationKey" | "updatedAt"> {
  readonly hubKey?: ActivatedKey;
}

/** A token outlives the request that carries it, and little more: every request gets a new one. */
const tokenLifetimeSeconds = 3_600;

/** An answer of 429 or 5xx, or a lost connection, is repeated this often before the attempt counts as failed. */
const maxFailuresInARow = 5;

/**
 * Registers the device and waits for its assignment.
 * @throws MooringError for every refusal, failed assignment, protocol violation or network failure.
 */
export async function register(registration: Registration): Promise<Assigned> {
  const { credential, log, clock, random, onServiceTime, signal } = registration;
  const request: DpsRequest = { kind: "register", body: registrationBody(registration) };

  let sign = credential.attestation === "symmetricKey" ? credential.sign : undefined;
  if (credential.attestation === "tpm") {
    const challenge = readChallenge(await askUntilServed(registration, request));
    log.debug("registration.challenged");
    sign = (await credential.activate(challenge)).sign;
    log.debug("registration.activated");
  }

  let answer = await askUntilServed(registration, request, sign);
  let operation = readOperation(answer);
  while (operation.status === "assigning" || operation.status === "unassigned") {
    const delayMs = pollDelayMs(answer.retryAfterMs, random);
    log.debug("registration.assigning", {
      operationId: operation.operationId,
      retryInMs: Math.round(delayMs),
    });
    refuseHopelessWait(registration, delayMs, () => stillAssigning(operation, answer));
    await clock.sleep(delayMs, { signal });
    const poll: DpsRequest = { kind: "operation", operationId: operation.operationId };
    answer = await askUntilServed(registration, poll, sign);
    operation = readOperation(answer);
  }

  const { hubAuthenticationKey, updatedAt, ...assigned } = readAssigned(operation, credential.attestation);
  if (updatedAt !== undefined) onServiceTime?.(updatedAt, "since");
  if (credential.attestation !== "tpm" || hubAuthenticationKey === undefined) return assigned;
  return { ...assigned, hubKey: await credential.activate(hubAuthenticationKey) };
}

function registrationBody({ registrationId, credential, payload }: Registration): DeviceRegistration {
  return {
    registrationId,
    ...(credential.attestation === "tpm" && {
      tpm: {
        endorsementKey: Buffer.from(credential.endorsementKey).toString("base64"),
        storageRootKey: Buffer.from(credential.storageRootKey).toString("base64"),
      },
    }),
    ...(payload !== undefined && { payload }),
  };
}

/** Asks, and asks again while the service is busy or the line breaks; refusals are thrown. */
async function askUntilServed(
  registration: Registration,
  request: DpsRequest,
  sign?: Sign,
): Promise<DpsAnswer> {
  const { transport, clock, random, log, signal } = registration;
  const mostFailures = registration.isPaced && request.kind === "register" ? 1 : maxFailuresInARow;
  for (let failures = 1; ; failures++) {
    const outcome = await ask(registration, request, sign).catch((error: unknown) => {
      if (failures < mostFailures && isTransient(error, request.kind)) return error;
      if (failures === 1 && isMisdated(error)) return error;
      throw isFollowUp(registration, request, sign) ? asBrokenLine(error) : error;
    });
    if (!(outcome instanceof MooringError)) return outcome;
    const delayMs = backOffMs(failures, outcome.details.retryAfterMs, random);
    refuseHopelessWait(registration, delayMs, () => outcome);
    log.warn("registration.retrying", {
      code: outcome.code,
      attempt: failures,
      retryInMs: Math.round(delayMs),
      transport: transport.name,
    });
    await clock.sleep(delayMs, { signal });
  }
}

async function ask(registration: Registration, request: DpsRequest, sign?: Sign): Promise<DpsAnswer> {
  const { idScope, registrationId, clock, transport, onServiceTime, signal } = registration;
  const now = registration.tokenTime?.() ?? clock.now();
  const authorization = sign && {
    authorization: await sasToken({
      resource: registrationResource(idScope, registrationId),
      expiresAtSeconds: now / 1000 + tokenLifetimeSeconds,
      keyName: "registration",
      sign,
    }),
  };
  const isChallenge = registration.credential.attestation === "tpm" && sign === undefined;
  const answer = await transport.send({ ...request, ...authorization }, { signal });
  if (answer.dateAt !== undefined) onServiceTime?.(answer.dateAt, "now");
  if (answer.status >= 300 && !(isChallenge && answer.status === 401))
    throw refusal(answer, request.kind, authorization && now);
  return answer;
}

/**
 * The rule of every DPS client: 429 and 5xx pass. So does a line that breaks; and once an operation runs at the
 * service, even a line that cannot be had for a while does not end it.
 */
function isTransient(error: unknown, asking: DpsRequest["kind"]): error is MooringError {
  if (!(error instanceof MooringError)) return false;
  const passing: ErrorCode[] = ["ERR_THROTTLED", "ERR_SERVICE_UNAVAILABLE", "ERR_CONNECTION_LOST"];
  return passing.includes(error.code) || (asking === "operation" && error.code === "ERR_CONNECT");
}

/** The service has answered in this registration already. */
const isFollowUp = ({ credential }: Registration, { kind }: DpsRequest, sign: Sign | undefined): boolean =>
  kind === "operation" || (credential.attestation === "tpm" && sign !== undefined);

/** Whoever was answered and then has no connection any more has not failed to reach the service: its line broke. */
function asBrokenLine(error: unknown): unknown {
  if (!(error instanceof MooringError) || error.code !== "ERR_CONNECT") return error;
  return new MooringError("ERR_CONNECTION_LOST", `the line was lost in the middle: ${error.message}`, {
    ...error.details,
    cause: error,
  });
}

/** The token was of another time than the service's, which we have heard now. */
const isMisdated = (error: unknown): error is MooringError =>
  error instanceof MooringError &&
  error.code === "ERR_UNAUTHORIZED" &&
  error.details.clockSkewMs !== undefined;

function refuseHopelessWait({ remainingMs }: Registration, delayMs: number, why: () => MooringError): void {
  if (delayMs >= remainingMs()) throw why();
}

const stillAssigning = ({ operationId }: OperationStatus, { retryAfterMs }: DpsAnswer): MooringError =>
  new MooringError("ERR_DEADLINE", "waited for the service to assign a hub until the deadline", {
    operationId,
    ...(retryAfterMs !== undefined && { retryAfterMs }),
  });
