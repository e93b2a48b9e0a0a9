// Reads what DPS answered. Everything that arrives is untrusted: it is checked here, once, and leaves as typed
// words or as a MooringError that keeps the service's own errorCode, message and trackingId.

import { type ErrorCode, MooringError } from "../errors.ts";
import type { DpsAnswer, DpsRequest } from "./transport.ts";
import type { OperationStatus, RegistrationState } from "./wire.ts";

type Json = Record<string, unknown>;

const isObject = (value: unknown): value is Json =>
  typeof value === "object" && value !== null && !Array.isArray(value);

const text = (value: unknown): string | undefined => (typeof value === "string" ? value : undefined);

const protocolError = (what: string, answer: Pick<DpsAnswer, "status" | "requestId">): MooringError =>
  new MooringError("ERR_PROTOCOL", `the service's answer (status ${answer.status}) ${what}`, {
    status: answer.status,
    ...(answer.requestId !== undefined && { trackingId: answer.requestId }),
  });

/** The authentication key of a TPM challenge, decoded. */
export function readChallenge(answer: DpsAnswer): Uint8Array {
  const key = isObject(answer.body) ? text(answer.body["authenticationKey"]) : undefined;
  if (answer.status === 401 && key !== undefined) return decodeKey(key, answer);
  if (answer.status === 401) throw refusal(answer, "register", undefined);
  // A disabled enrollment is not challenged at all.
  throw finalRefusal(readOperation(answer)) ?? protocolError("is not a TPM challenge", answer);
}

/** The running or finished operation of a register or a poll. */
export function readOperation(answer: DpsAnswer): OperationStatus {
  const body = answer.body;
  if (!isObject(body)) throw protocolError("is not a JSON object", answer);
  const operationId = text(body["operationId"]) ?? "";
  // Accepted, and nothing more is known yet: documents show that answer with the operation alone.
  const status = text(body["status"]) ?? (answer.status === 202 && operationId ? "assigning" : undefined);
  if (status === undefined) throw protocolError("has no status", answer);
  const state = body["registrationState"];
  if (operationId === "" && (status === "assigning" || status === "unassigned")) {
    throw protocolError("has no operationId to ask for", answer);
  }
  if (!/^[\x21-\x7e]{0,512}$/.test(operationId)) throw protocolError("has an impossible operationId", answer);
  return { operationId, status, ...(isObject(state) && { registrationState: state as RegistrationState }) };
}

export interface AssignedOperation {
  readonly assignedHub: string;
  readonly deviceId: string;
  readonly operationId: string;
  /** `initialAssignment`, `deviceDataMigrated`, …; unknown ones are information, not errors. */
  readonly substatus?: string;
  readonly etag?: string;
  /** What a custom allocation wants the device to have. */
  readonly payload?: unknown;
  readonly hubAuthenticationKey?: Uint8Array;
  /** When the registration was last updated, ms since 1970: MQTT has no other word of the service's time. */
  readonly updatedAt?: number;
}

/** What a final operation says: an assignment, or the reason why there is none. */
export function readAssigned(operation: OperationStatus, attestation: string): AssignedOperation {
  const refused = finalRefusal(operation);
  if (refused) throw refused;
  const state = operation.registrationState ?? {};
  const { operationId } = operation;
  const answer = { status: 200 };
  if (operation.status !== "assigned")
    throw protocolError(`has the unknown status ${quote(operation.status)}`, answer);
  const { assignedHub, deviceId } = state;
  if (typeof assignedHub !== "string" || typeof deviceId !== "string") {
    throw protocolError("says assigned, but names no hub or no device id", answer);
  }
  if (!hubName.test(assignedHub))
    throw protocolError(`names a hub that is no host name: ${quote(assignedHub)}`, answer);
  if (!hubDeviceId.test(deviceId))
    throw protocolError(`names an impossible device id: ${quote(deviceId)}`, answer);
  const key = text(state.tpm?.authenticationKey);
  if (attestation === "tpm" && key === undefined)
    throw protocolError("says assigned, but brings no key for the hub", answer);
  return {
    assignedHub,
    deviceId,
    operationId,
    ...optional("substatus", textLike(/^[A-Za-z0-9._-]{1,64}$/, state.substatus)),
    ...optional("etag", textLike(/^[\x21-\x7e]{1,128}$/, state.etag)),
    ...optional("payload", state.payload ?? undefined),
    ...(key !== undefined && { hubAuthenticationKey: decodeKey(key, answer) }),
    ...optional("updatedAt", dateIn(state.lastUpdatedDateTimeUtc)),
  };
}

/** They are information, and end up in other programs' environment: what is no plain word is left out. */
const textLike = (word: RegExp, said: unknown): string | undefined =>
  word.test(text(said) ?? "") ? text(said) : undefined;

/** Azure writes seven fractional digits. */
function dateIn(said: unknown): number | undefined {
  const at = Date.parse(text(said) ?? "");
  return Number.isNaN(at) ? undefined : at;
}

const optional = <K extends string, V>(key: K, value: V | undefined): { [P in K]?: V } =>
  (value === undefined ? {} : { [key]: value }) as { [P in K]?: V };

/** Host name with an optional port; it ends up in other programs' configuration. */
const hubName =
  /^(?=.{1,253}(:|$))[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*(:\d{1,5})?$/;

/** Device ids as IoT Hub allows them. */
const hubDeviceId = /^[A-Za-z0-9\-.%_*?!(),:=@$']{1,128}$/;

/** What a finished operation says instead of an assignment. */
function finalRefusal({ status, operationId, registrationState }: OperationStatus): MooringError | undefined {
  if (status === "disabled" || status === "blacklisted") {
    return new MooringError("ERR_DISABLED", "the service says that this device's enrollment is disabled", {
      operationId,
    });
  }
  return status === "failed" ? failedAssignment(registrationState ?? {}, operationId) : undefined;
}

function failedAssignment(state: RegistrationState, operationId: string): MooringError {
  const code: ErrorCode = state.errorCode === 400208 ? "ERR_HUB_MISSING" : "ERR_REGISTRATION_FAILED";
  const reason = clip(text(state.errorMessage) ?? "no reason given");
  return new MooringError(code, `the service could not assign a hub: ${reason}`, {
    operationId,
    serviceMessage: reason,
    ...(typeof state.errorCode === "number" && { serviceErrorCode: state.errorCode }),
  });
}

/** Five minutes is what the service's own libraries tolerate. */
const skewWorthNamingMs = 300_000;

/**
 * A status of 300 or more as an error: what came back when that was asked. `now` (ms), when a token was sent, tells a
 * wrong clock from a wrong key.
 */
export function refusal(answer: DpsAnswer, asked: DpsRequest["kind"], now: number | undefined): MooringError {
  const body = isObject(answer.body) ? answer.body : {};
  const serviceErrorCode = typeof body["errorCode"] === "number" ? body["errorCode"] : undefined;
  const serviceMessage = text(body["message"]) ?? text(body["errorMessage"]);
  const trackingId = text(body["trackingId"]) ?? answer.requestId;
  const skew = answer.dateAt !== undefined && now !== undefined ? answer.dateAt - now : 0;
  const code = codeOf(answer.status, asked, serviceErrorCode);
  const clockIsWrong = code === "ERR_UNAUTHORIZED" && Math.abs(skew) > skewWorthNamingMs;
  return new MooringError(
    code,
    `${meaningOf(code, answer)} (status ${answer.status}${serviceMessage ? `: ${clip(serviceMessage)}` : ""})`,
    {
      status: answer.status,
      ...(serviceErrorCode !== undefined && { serviceErrorCode }),
      ...(serviceMessage !== undefined && { serviceMessage: clip(serviceMessage) }),
      ...(trackingId !== undefined && { trackingId: clip(trackingId) }),
      ...(answer.retryAfterMs !== undefined && { retryAfterMs: answer.retryAfterMs }),
      ...optional("hint", hintFor(answer.status, asked, code, serviceErrorCode)),
      ...(clockIsWrong && {
        clockSkewMs: skew,
        hint: `this clock is ${Math.round(Math.abs(skew) / 1000)} s ${skew > 0 ? "behind" : "ahead of"} the service's, and tokens carry a time: set it (\`timedatectl\`), then try again`,
      }),
    },
  );
}

function codeOf(status: number, asked: DpsRequest["kind"], serviceErrorCode: number | undefined): ErrorCode {
  if (status === 429) return "ERR_THROTTLED";
  if (status >= 500) return "ERR_SERVICE_UNAVAILABLE";
  if (status < 400) return "ERR_PROTOCOL";
  if (status !== 401 && status !== 403 && status !== 404) return "ERR_REQUEST_REFUSED";
  // Outputs may be withdrawn over it: a proxy's page and an operation that was forgotten say nothing of the enrollment.
  if (status === 404 && asked === "operation") return "ERR_REGISTRATION_FAILED";
  // DPS's codes are the status and three digits more.
  if (Math.floor((serviceErrorCode ?? 0) / 1000) !== status) return "ERR_PROTOCOL";
  return status === 404 ? "ERR_NOT_ENROLLED" : "ERR_UNAUTHORIZED";
}

/** Where more is known than the code says. */
function hintFor(
  status: number,
  asked: DpsRequest["kind"],
  code: ErrorCode,
  serviceErrorCode: number | undefined,
): string | undefined {
  if (status === 404 && asked === "operation")
    return "the service has forgotten what it had begun; the next attempt begins anew: `mooring reprovision`";
  if (status === 413)
    return "DPS takes no more than 96 KB: make [provisioning] payload, or what payload_file names, smaller";
  if (code === "ERR_NOT_ENROLLED" && serviceErrorCode !== enrollmentNotFound)
    return "check [provisioning] id_scope, and that the enrollment is there: `mooring identity show` prints what it needs";
  return undefined;
}

/** That one is certain to be about the enrollment; there is no list of the others, and the id scope's is among them. */
const enrollmentNotFound = 404201;

function meaningOf(code: ErrorCode, { status, retryAfterMs }: DpsAnswer): string {
  if (code === "ERR_PROTOCOL" && status < 400)
    return "the service redirects, and a device credential is never sent elsewhere";
  const wait = retryAfterMs === undefined ? "" : `, and asks to wait ${Math.ceil(retryAfterMs / 1000)} s`;
  return `${meaning[code] ?? "the service refused"}${wait}`;
}

const meaning: Partial<Record<ErrorCode, string>> = {
  ERR_THROTTLED: "the service is throttling this device",
  ERR_SERVICE_UNAVAILABLE: "the service has trouble of its own",
  ERR_UNAUTHORIZED: "the service does not accept this device's credential",
  ERR_NOT_ENROLLED: "the service knows no enrollment for this device",
  ERR_REQUEST_REFUSED: "the service refuses the request",
  ERR_REGISTRATION_FAILED: "the service has forgotten the registration that was under way",
  ERR_PROTOCOL: "the answer is not one of DPS",
};

function decodeKey(key: string, answer: Pick<DpsAnswer, "status" | "requestId">): Uint8Array {
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(key))
    throw protocolError("holds an authentication key that is not base64", answer);
  return Buffer.from(key, "base64");
}

/** Text of the service goes into our messages; a hostile one stays short and printable. */
const clip = (said: string): string => said.replace(/[^\x20-\x7e\u00a0-\uffff]/g, " ").slice(0, 300);

const quote = (said: string): string => JSON.stringify(clip(said).slice(0, 80));
