// All MQTT sessions of the service, whichever way they came in: over TLS here, or over WebSockets from the HTTPS
// server. A device has one session; a new one of it ends the old.

import type { Duplex } from "node:stream";
import { createServer, type Server } from "node:tls";
import { causeText } from "../errors.ts";
import type { ServerCredential } from "./authority.ts";
import { converse, type MqttLimits, type MqttLink, type MqttSessionOptions } from "./mqtt-session.ts";
import { clientCertificates, tlsOptions } from "./tls.ts";

export interface MqttSessions {
  /** Serves a connection until it ends; never throws. */
  serve(link: MqttLink): Promise<void>;
  closeAll(): void;
}

export interface MqttSessionsOptions extends Pick<MqttSessionOptions, "deviceApi" | "clock" | "log"> {
  readonly limits?: Partial<MqttLimits>;
}

const patience: MqttLimits = {
  greetingTimeoutMs: 15_000,
  frameTimeoutMs: 30_000,
  silenceTimeoutMs: 60 * 60_000,
};

export function mqttSessions(options: MqttSessionsOptions): MqttSessions {
  const { log } = options;
  const limits = { ...patience, ...options.limits };
  const open = new Set<Duplex>();
  const byClient = new Map<string, Duplex>();
  return {
    async serve(link) {
      const { stream } = link;
      let clientKey: string | undefined;
      const onGreeted = (key: string, isKnown: () => boolean): void => {
        const present = byClient.get(key);
        // Else anybody who knows its name could end a device's session.
        if (present && !isKnown()) return;
        clientKey = key;
        present?.destroy();
        byClient.set(key, stream);
      };
      open.add(stream);
      stream.on("error", () => {}); // converse() sees it too; this is for one that comes after
      try {
        await converse(link, { ...options, limits, onGreeted });
      } catch (error) {
        const { transport } = link;
        log.debug("mqtt.closed", { transport, client: clientKey, reason: causeText(error) });
      }
      open.delete(stream);
      if (clientKey !== undefined && byClient.get(clientKey) === stream) byClient.delete(clientKey);
      farewell(stream);
    },
    closeAll() {
      for (const stream of open) stream.destroy();
    },
  };
}

/** Lets the last words out, then closes whether the device agrees or not. */
function farewell(stream: Duplex): void {
  if (stream.closed) return;
  stream.resume();
  stream.end();
  const impatience = setTimeout(() => stream.destroy(), 1000);
  stream.once("close", () => clearTimeout(impatience));
}

/** MQTT over TLS, port 8883 in the field. Does not listen yet. */
export function createMqttServer(
  credential: ServerCredential,
  sessions: MqttSessions,
  { handshakeTimeoutMs }: { handshakeTimeoutMs?: number } = {},
): Server {
  const options = tlsOptions(credential);
  if (handshakeTimeoutMs !== undefined) options.handshakeTimeout = handshakeTimeoutMs;
  const server = createServer(options, (socket) => {
    void sessions.serve({ stream: socket, transport: "mqtt", certificates: clientCertificates(socket) });
  });
  // Node tells that a handshake took too long, but leaves the connection open.
  return server.on("tlsClientError", (_error, socket) => socket.destroy());
}
