// From what the schema refused to what a person reads: file, key path, and the range allowed; for a key that does
// not exist, the one that was probably meant.

import type { BaseIssue } from "valibot";
import type { KeyPath, Problem } from "./rules.ts";
import { configTable } from "./schema.ts";
import { isTable } from "./values.ts";

/** What valibot's schemas have in common, as far as walking them needs it. */
interface Shape {
  readonly entries?: Readonly<Record<string, Shape>>;
  readonly wrapped?: Shape;
  readonly item?: Shape;
}

export function schemaProblem(issue: BaseIssue<unknown>): Problem {
  const path = (issue.path ?? []).map(({ key }) => key as string | number);
  const missing = issue.kind === "schema" && issue.received === "undefined";
  return { path, text: missing ? "is required" : issue.message };
}

/** `identity.x509.certificate`, `outputs[0].path`. */
export function keyText(path: KeyPath): string {
  return path
    .map((key) => (typeof key === "number" ? `[${key}]` : `.${key}`))
    .join("")
    .replace(/^\./, "");
}

/** Every key that no table knows, and lists and dates that stand where a table belongs. */
export function structureProblems(tables: Readonly<Record<string, unknown>>): Problem[] {
  return [...problemsIn(configTable as Shape, tables, [])];
}

function* problemsIn(shape: Shape, value: unknown, path: KeyPath): Generator<Problem> {
  const { entries, item } = bare(shape);
  if (item && Array.isArray(value)) {
    for (const [index, element] of value.entries()) yield* problemsIn(item, element, [...path, index]);
  }
  if (!entries) return;
  if (!isTable(value)) {
    // valibot itself refuses what is no object at all.
    if (typeof value === "object")
      yield { path, text: `must be a table, not a ${Array.isArray(value) ? "list" : "date"}` };
    return;
  }
  for (const [key, content] of Object.entries(value)) {
    const entry = Object.hasOwn(entries, key) ? entries[key] : undefined;
    if (entry) yield* problemsIn(entry, content, [...path, key]);
    else yield { path: [...path, key], text: `is not a key of Mooring's${suggestion(key, entries)}` };
  }
}

function bare(shape: Shape): Shape {
  return shape.wrapped ? bare(shape.wrapped) : shape;
}

function suggestion(key: string, siblings: Readonly<Record<string, Shape>>): string {
  const near = Object.keys(siblings)
    .map((name) => ({ name, distance: editDistance(key.toLowerCase().replaceAll("-", "_"), name) }))
    .filter(({ name, distance }) => distance <= Math.min(2, name.length / 2))
    .sort((a, b) => a.distance - b.distance)[0];
  if (near) return `; did you mean ${near.name}?`;
  const home = homeOf(key, configTable as Shape, []);
  return home === undefined ? "" : `; it belongs in ${home}`;
}

/** The table, as TOML writes it, that has a key of this name. */
function homeOf(key: string, shape: Shape, path: readonly string[]): string | undefined {
  const { entries, item } = bare(shape);
  const inner = Object.entries(entries ?? (item && bare(item).entries) ?? {});
  if (path.length > 0 && inner.some(([name]) => name === key)) {
    return item ? `[[${path.join(".")}]]` : `[${path.join(".")}]`;
  }
  for (const [name, entry] of inner) {
    const home = homeOf(key, entry, [...path, name]);
    if (home !== undefined) return home;
  }
  return undefined;
}

/** Levenshtein's distance. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (const [i, letter] of [...a].entries()) {
    const next = [i + 1];
    for (const [j, other] of [...b].entries()) {
      next.push(
        Math.min((row[j] ?? 0) + (letter === other ? 0 : 1), (row[j + 1] ?? 0) + 1, (next[j] ?? 0) + 1),
      );
    }
    row = next;
  }
  return row.at(-1) ?? 0;
}
