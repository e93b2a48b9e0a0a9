// The one port through which the handshake talks: a request goes out, an answer comes back, over HTTPS, MQTT or
// MQTT over WebSockets. Transports turn sockets into these words and failures into MooringErrors; nothing else.

import type { DeviceRegistration } from "./wire.ts";

export type TransportName = "https" | "mqtt" | "mqtt-ws";

/** Register, or ask for an operation. `authorization` is a whole SAS token; X.509 has none. */
export type DpsRequest =
  | { readonly kind: "register"; readonly body: DeviceRegistration; readonly authorization?: string }
  | { readonly kind: "operation"; readonly operationId: string; readonly authorization?: string };

export interface DpsAnswer {
  /** HTTP or topic status. */
  readonly status: number;
  /** Parsed JSON; undefined when the answer was empty or not JSON. */
  readonly body: unknown;
  readonly retryAfterMs?: number;
  /** `x-ms-request-id`, when the transport has one. */
  readonly requestId?: string;
  /** Server's date, ms since 1970, when the transport has one. */
  readonly dateAt?: number;
}

export interface Transport {
  readonly name: TransportName;
  /** Throws MooringError (ERR_DNS, ERR_CONNECT, ERR_PROXY*, ERR_TLS_*, ERR_CONNECTION_LOST), or the signal's reason. */
  send(request: DpsRequest, options: { signal: AbortSignal }): Promise<DpsAnswer>;
  close(): Promise<void>;
}

/** Where DPS is and how to reach it. */
export interface Endpoint {
  readonly host: string;
  readonly port: number;
  readonly idScope: string;
  readonly registrationId: string;
  /** Extra trust anchors (PEM), beside the system's. */
  readonly ca?: string;
  /** Device certificate chain and key (PEM), for X.509 attestation. */
  readonly clientCertificate?: { readonly certificate: string; readonly privateKey: string };
  /** `http://[user:password@]host:port`, or `https://…`; HTTPS and WebSockets only. */
  readonly proxy?: string;
}
