// What other programs get to see of an assignment, and under which names. Nothing of it is secret. Pure.

import type { Assignment } from "./assignment.ts";

/** In the order of publication; the names are TOML's and the templates'. */
export function publishedFields(assignment: Assignment): Record<string, unknown> {
  const { hubKey, payload } = assignment;
  return {
    assigned_hub: assignment.assignedHub,
    device_id: assignment.deviceId,
    registration_id: assignment.registrationId,
    id_scope: assignment.idScope,
    endpoint: assignment.endpoint,
    attestation: assignment.attestation,
    transport: assignment.transport,
    substatus: assignment.substatus,
    assigned_at: assignment.assignedAt,
    hub_key_handle: hubKey && `0x${hubKey.handle.toString(16)}`,
    payload,
  };
}

const environmentNames: Readonly<Record<string, string>> = {
  assigned_hub: "IOTHUB_HOSTNAME",
  device_id: "IOTHUB_DEVICE_ID",
  hub_key_handle: "IOTHUB_KEY_HANDLE",
  registration_id: "DPS_REGISTRATION_ID",
  id_scope: "DPS_ID_SCOPE",
  endpoint: "DPS_ENDPOINT",
  attestation: "DPS_ATTESTATION",
  transport: "DPS_TRANSPORT",
  substatus: "DPS_SUBSTATUS",
  assigned_at: "DPS_ASSIGNED_AT",
  payload: "DPS_PAYLOAD",
};

/** The same as environment variables; the payload is JSON text. */
export function publishedEnvironment(assignment: Assignment): Record<string, string> {
  const fields = publishedFields(assignment);
  return Object.fromEntries(
    Object.entries(environmentNames).flatMap(([field, name]) => {
      const value = fields[field];
      return value === undefined ? [] : [[name, plainText(value)]];
    }),
  );
}

/** Text as it is, anything else as JSON without control characters. */
export function plainText(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value).replaceAll("\x7f", "\\u007f");
}
