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
    hub_key_name: hubKey?.name,
    payload,
  };
}

const environmentNames: Readonly<Record<string, string>> = {
  assigned_hub: "IOTHUB_HOSTNAME",
  device_id: "IOTHUB_DEVICE_ID",
  hub_key_handle: "IOTHUB_KEY_HANDLE",
  hub_key_name: "IOTHUB_KEY_NAME",
  registration_id: "DPS_REGISTRATION_ID",
  id_scope: "DPS_ID_SCOPE",
  endpoint: "DPS_ENDPOINT",
  attestation: "DPS_ATTESTATION",
  transport: "DPS_TRANSPORT",
  substatus: "DPS_SUBSTATUS",
  assigned_at: "DPS_ASSIGNED_AT",
  payload: "DPS_PAYLOAD",
};

/** Of the registration alone: another value does not have anybody work otherwise. */
const circumstances: ReadonlySet<string> = new Set(["transport", "substatus", "assigned_at"]);

/** The same as environment variables; the payload is JSON text, and is left out where no program could be given it. */
export const publishedEnvironment = (assignment: Assignment): Record<string, string> =>
  passable(environmentOf(publishedFields(assignment)));

/** Those that a program can be given. */
export const passable = (variables: Readonly<Record<string, string>>): Record<string, string> =>
  Object.fromEntries(Object.entries(variables).filter(([name, value]) => isPassable(`${name}=${value}`)));

/** Linux takes 128 KiB of a variable, with its name and the zero byte at its end (MAX_ARG_STRLEN). */
const isPassable = (variable: string): boolean =>
  Buffer.byteLength(variable) < 128 << 10 && !variable.includes("\0");

/**
 * What of it an environment file holds. Such a file is read when a program starts, and a new one has programs started
 * anew: it says how to work, and is the same after a registration that changes nothing of that.
 */
export function lastingEnvironment(assignment: Assignment): Record<string, string> {
  const fields = Object.entries(publishedFields(assignment));
  return environmentOf(Object.fromEntries(fields.filter(([field]) => !circumstances.has(field))));
}

function environmentOf(fields: Readonly<Record<string, unknown>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(environmentNames).flatMap(([field, name]) => {
      const value = fields[field];
      return value === undefined ? [] : [[name, plainText(value)]];
    }),
  );
}

/** Control characters but tab and newline, and what Unicode has no character for: systemd refuses a file that has one. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are the characters that systemd refuses
export const unfit = /[\x00-\x08\x0b-\x1f\x7f]|\p{Noncharacter_Code_Point}/gu;

/** Text as it is, anything else as JSON that escapes what is unfit. */
export const plainText = (value: unknown): string =>
  typeof value === "string" ? value : JSON.stringify(value).replace(unfit, escaped);

const escaped = (character: string): string =>
  Array.from(character.split(""), (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`).join(
    "",
  );
