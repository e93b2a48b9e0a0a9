// The initial twin of a device as it is edited: one JSON object with tags and desired properties.

import { checkJson } from "./json-check.ts";
import type { InitialTwin } from "./records.ts";

const empty = { tags: {}, properties: { desired: {} } };

export const twinText = (twin: InitialTwin | undefined): string =>
  JSON.stringify(
    { tags: twin?.tags ?? {}, properties: { desired: twin?.properties?.desired ?? {} } },
    null,
    2,
  );

export const emptyTwin: string = JSON.stringify(empty, null, 2);

export interface TwinMistake {
  readonly what: string;
  /** Where in the text, if it is a mistake of the JSON itself. */
  readonly place?: { readonly line: number; readonly column: number; readonly offset: number };
}

/** The twin that a text means, `undefined` for an empty one, or what is wrong with it. */
export function readTwin(
  text: string,
): { readonly twin: InitialTwin | undefined; readonly mistake?: never } | { readonly mistake: TwinMistake } {
  if (text.trim() === "") return { twin: undefined };
  const { value, mistake } = { value: undefined, ...checkJson(text) };
  if (mistake) {
    const { what, line, column, offset } = mistake;
    return { mistake: { what, place: { line, column, offset } } };
  }
  const wrong = shapeMistake(value);
  if (wrong) return { mistake: { what: wrong } };
  const { tags, properties } = value as InitialTwin;
  const twin = {
    ...(holds(tags) && { tags }),
    ...(holds(properties?.desired) && { properties: { desired: properties.desired } }),
  };
  return { twin: holds(twin) ? twin : undefined };
}

const holds = (value: object | undefined): value is object =>
  value !== undefined && Object.keys(value).length > 0;

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

function shapeMistake(value: unknown): string | undefined {
  if (!isObject(value)) return "The twin is an object with tags and properties.";
  const stranger = Object.keys(value).find((name) => name !== "tags" && name !== "properties");
  if (stranger !== undefined)
    return `${JSON.stringify(stranger)} is not part of an initial twin; only tags and properties are.`;
  const { tags = {}, properties = {} } = value;
  if (!isObject(tags)) return "tags is an object.";
  if (!isObject(properties)) return "properties is an object.";
  const other = Object.keys(properties).find((name) => name !== "desired");
  if (other !== undefined)
    return `${JSON.stringify(other)} cannot be set; of the properties only desired belongs to an initial twin.`;
  const { desired = {} } = properties;
  if (!isObject(desired)) return "properties.desired is an object.";
  return nameMistake(tags) ?? nameMistake(desired);
}

/** Names in a twin have no dots, dollars or spaces (IoT Hub, device twins). */
function nameMistake(value: unknown): string | undefined {
  if (Array.isArray(value)) return value.map(nameMistake).find(Boolean);
  if (!isObject(value)) return undefined;
  for (const [name, member] of Object.entries(value)) {
    if (/[.$\s]/.test(name)) return `The name ${JSON.stringify(name)} has a dot, a $ or a space.`;
    const inside = nameMistake(member);
    if (inside) return inside;
  }
  return undefined;
}
