// What valibot needs to judge JSON that came from outside, and how its findings become refusals.

import * as v from "valibot";
import { Refusal } from "./refusal.ts";

const isObject = (value: unknown): boolean =>
  typeof value === "object" && value !== null && !Array.isArray(value);

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
