// The words on the wire between a device and DPS: paths, topics, bodies. Pure; the client and the local service
// both speak through it, and test/contract holds it against literal data that neither produced.

import { decodeLeniently } from "../system/percent-encoding.ts";

/** The version our client speaks (device API 2021-06-01, the one Azure's C SDK and documents use). */
const apiVersion = "2021-06-01";

/** What the device sends to register. `tpm` carries base64 TPM2B_PUBLIC, size prefix included. */
export interface DeviceRegistration {
  readonly registrationId?: string;
  readonly tpm?: { readonly endorsementKey: string; readonly storageRootKey?: string };
  readonly payload?: unknown;
}

/** `registrationState` of an operation. Every field is optional on the wire; unknown ones are kept out of our way. */
export interface RegistrationState {
  readonly registrationId?: string;
  readonly createdDateTimeUtc?: string;
  readonly lastUpdatedDateTimeUtc?: string;
  readonly assignedHub?: string;
  readonly deviceId?: string;
  readonly status?: string;
  readonly substatus?: string;
  readonly errorCode?: number;
  readonly errorMessage?: string;
  readonly etag?: string;
  readonly payload?: unknown;
  readonly tpm?: { readonly authenticationKey?: string };
  readonly x509?: unknown;
  readonly symmetricKey?: unknown;
}

/** 202 and 200 of register and of a poll. */
export interface OperationStatus {
  readonly operationId: string;
  readonly status: string;
  readonly registrationState?: RegistrationState;
}

/** The 401 that is a TPM challenge and not a refusal: it has no `errorCode` and no `status`. */
export interface TpmChallenge {
  readonly message?: string;
  readonly authenticationKey: string;
  readonly unencryptedAuthenticationKey?: string | null;
  readonly keyName?: string;
}

/** Body of a refusal: errorCode = HTTP status × 1000 + detail, trackingId = x-ms-request-id. */
export interface ServiceErrorBody {
  readonly errorCode: number;
  readonly trackingId?: string;
  readonly message?: string;
  readonly info?: Record<string, string>;
  readonly timestampUtc?: string;
}

const segment = encodeURIComponent;

/** `PUT` here to register. */
export const registerPath = (idScope: string, registrationId: string): string =>
  `/${segment(idScope)}/registrations/${segment(registrationId)}/register?api-version=${apiVersion}`;

/** `GET` here to ask how an operation is doing. */
export const operationPath = (idScope: string, registrationId: string, operationId: string): string =>
  `/${segment(idScope)}/registrations/${segment(registrationId)}/operations/${segment(operationId)}?api-version=${apiVersion}`;

/** What a SAS token for a registration is good for, unencoded. */
export const registrationResource = (idScope: string, registrationId: string): string =>
  `${idScope}/registrations/${registrationId}`;

/** MQTT user name; `clientVersion` is unencoded. */
export const mqttUsername = (idScope: string, registrationId: string, clientVersion: string): string =>
  `${registrationResource(idScope, registrationId)}/api-version=${apiVersion}&ClientVersion=${segment(clientVersion)}`;

export const responseFilter = "$dps/registrations/res/#";

export const registerTopic = (requestId: string): string =>
  `$dps/registrations/PUT/iotdps-register/?$rid=${segment(requestId)}`;

export const operationTopic = (requestId: string, operationId: string): string =>
  `$dps/registrations/GET/iotdps-get-operationstatus/?$rid=${segment(requestId)}&operationId=${segment(operationId)}`;

/** `$rid` comes first, right behind the question mark: some clients look for it nowhere else. */
export const responseTopic = (status: number, encodedRequestId: string, retryAfterSeconds?: number): string =>
  `$dps/registrations/res/${status}/?$rid=${encodedRequestId}` +
  (retryAfterSeconds === undefined ? "" : `&retry-after=${retryAfterSeconds}`);

export interface ResponseTopic {
  readonly status: number;
  /** Decoded. */
  readonly requestId?: string;
  readonly retryAfterSeconds?: number;
}

/** Reads a response topic with its properties in any order and case; undefined when it is none. */
export function parseResponseTopic(topic: string): ResponseTopic | undefined {
  const match = /^\$dps\/registrations\/res\/(\d{3})\/(?:\?(.*))?$/.exec(topic);
  if (!match) return undefined;
  const properties = topicProperties(match[2] ?? "");
  const requestId = properties.get("$rid");
  const retryAfterSeconds = parseRetryAfterSeconds(properties.get("retry-after"));
  return {
    status: Number(match[1]),
    ...(requestId === undefined ? {} : { requestId }),
    ...(retryAfterSeconds === undefined ? {} : { retryAfterSeconds }),
  };
}

/** `?a=b&c=d` of a topic, names lower-cased, values percent-decoded (kept as they are when that is impossible). */
export function topicProperties(query: string): Map<string, string> {
  const properties = new Map<string, string>();
  for (const part of query.split("&")) {
    const at = part.indexOf("=");
    if (at > 0) properties.set(part.slice(0, at).toLowerCase(), decodeLeniently(part.slice(at + 1)));
  }
  return properties;
}

/** Delta-seconds of a Retry-After; anything else (a date, a negative number, nothing) is undefined. */
export function parseRetryAfterSeconds(value: string | undefined): number | undefined {
  return value !== undefined && /^\d{1,9}$/.test(value.trim()) ? Number(value) : undefined;
}
