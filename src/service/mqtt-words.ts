// What devices say to DPS in MQTT's own fields: who they are, in the user name; what they want, in the topic.

import { topicProperties } from "../registration/wire.ts";
import { decodeLeniently } from "../system/percent-encoding.ts";

export interface MqttUser {
  readonly idScope: string;
  readonly registrationId: string;
  readonly apiVersion: string | undefined;
}

/** `{idScope}/registrations/{registrationId}/api-version={version}[&ClientVersion=…]`; undefined when it is not that. */
export function parseUsername(username: string): MqttUser | undefined {
  const match = /^([^/]+)\/registrations\/([^/]+)\/([^/?].*)$/i.exec(username);
  if (!match) return undefined;
  const [, idScope, registrationId, tail] = match as unknown as [string, string, string, string];
  return {
    idScope: decodeLeniently(idScope),
    registrationId: decodeLeniently(registrationId),
    apiVersion: topicProperties(tail).get("api-version"),
  };
}

export interface MqttRequest {
  readonly operation: "register" | "operation";
  /** Still percent-encoded, because it goes back as it came; undefined when the topic has none. */
  readonly encodedRequestId: string | undefined;
  readonly operationId: string | undefined;
}

/** Reads the topic of a publish; undefined when DPS has no such topic. */
export function parseRequestTopic(topic: string): MqttRequest | undefined {
  const match =
    /^\$dps\/registrations\/(PUT\/iotdps-register|GET\/iotdps-get-operationstatus)\/\?([^+#\0]*)$/.exec(
      topic,
    );
  if (!match) return undefined;
  const query = match[2] as string;
  return {
    operation: match[1] === "PUT/iotdps-register" ? "register" : "operation",
    encodedRequestId: /(?:^|&)\$rid=([^&]+)/.exec(query)?.[1],
    operationId: topicProperties(query).get("operationid"),
  };
}
