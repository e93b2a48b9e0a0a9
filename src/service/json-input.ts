// What valibot needs to judge JSON that came from outside, and how its findings become refusals.

import * as v from "valibot";
import { Refusal } from "./refusal.ts";

const isObject = (value: unknown): boolean =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** Twins have ten levels; what has many more is meant to hurt whoever walks through it. */
const deepest = 64;

/** The JSON in `text`; undefined when it is blank. Throws a 400000 when it is none, or nested too deeply. */
export function parseJson(text: string): unknown {
  if (text.trim() === "") return undefined;
  if (isTooDeep(text)) throw new Refusal(400000, `The JSON is nested more than ${deepest} levels deep.`);
  try {
    return JSON.parse(text);
  } catch {
    throw new Refusal(400000, "The body is not valid JSON.");
  }
}

/** Told from the text, because parsing it is already slow. */
function isTooDeep(text: string): boolean {
  let depth = 0;
  let quoted = false;
  for (let at = 0; at < text.length; at++) {
    const character = text[at];
    if (quoted) {
      if (character === "\\") at++;
      else if (character === '"') quoted = false;
    } else if (character === '"') quoted = true;
    else if (character === "[" || character === "{") depth++;
    else if (character === "]" || character === "}") depth--;
    if (depth > deepest) return true;
  }
  return false;
}

/** A JSON object with these members; others are passed over. valibot alone would let arrays in. */
export const jsonObject = <const Members extends v.ObjectEntries>(members: Members) =>
  v.pipe(v.custom<object>(isObject, "Invalid type: Expected an object"), v.object(members));

/** Any JSON object, as it is. */
export const jsonRecord = v.pipe(
  v.custom<object>(isObject, "Invalid type: Expected an object"),
  v.record(v.string(), v.unknown()),
);

/** Throws a 400000 that names the first member that is wrong. */
export function readInput<Schema extends v.GenericSchema>(
  schema: Schema,
  value: unknown,
): v.InferOutput<Schema> {
  const result = v.safeParse(schema, value);
  if (result.success) return result.output;
  const [issue] = result.issues;
  throw new Refusal(400000, `${v.getDotPath(issue) ?? "body"}: ${issue.message}`);
}
