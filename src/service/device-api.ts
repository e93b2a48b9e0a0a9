// What a device may ask, whatever the socket it came through: register, ask for an operation, look up its
// registration. Every mistake of a device gets an answer; nothing is thrown for it.

import { MooringError } from "../errors.ts";
import type { Clock } from "../system/clock.ts";
import type { Log } from "../system/log.ts";
import type { Store } from "./store.ts";

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
}

export interface DeviceAnswer {
  /** HTTP or topic status. */
  readonly status: number;
  /** To be sent as JSON. */
  readonly body: unknown;
  /** On 202 only. */
  readonly retryAfterSeconds?: number;
  /** For `x-ms-request-id`; the trackingId of an error body is the same. */
  readonly requestId: string;
}

export interface DeviceApi {
  handle(request: DeviceRequest): Promise<DeviceAnswer>;
}

export interface DeviceApiOptions {
  readonly store: Store;
  readonly clock: Clock;
  readonly log: Log;
  /** What 202 asks for, 1 to 300. With 0 a registration is finished in the first answer, as 200. */
  readonly retryAfterSeconds: number;
  /** How long an operation stays `assigning`; 0 unless given. */
  readonly assigningMs?: number;
}

export function createDeviceApi(_options: DeviceApiOptions): DeviceApi {
  throw new MooringError("ERR_INTERNAL", "the device API is not built yet");
}
