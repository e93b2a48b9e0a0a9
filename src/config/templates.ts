// Placeholders such as ${serial} in the registration id and in the payload: one configuration then serves a whole
// fleet of equal images. Which facts there are is said here; what they are on this machine, agent/facts.ts finds out. Pure.

import type { KeyPath, Problem } from "./rules.ts";

const placeholder = /\$\{([^{}]*)\}/g;

/** Facts without an argument, and in which kind of identity those have their source that not every identity has. */
const facts: Readonly<Record<string, { readonly of?: string }>> = {
  serial: {},
  product: {},
  "machine-id": {},
  hostname: {},
  cn: { of: "x509" },
  "ek-sha256": { of: "tpm" },
};
const macFact = /^mac:(?!\.{1,2}$)[^/\s]{1,15}$/;

const available = ["mac:INTERFACE", ...Object.keys(facts)].map((name) => `\${${name}}`).join(", ");

/** Names of the facts that the texts in `value` use, however deep they lie; each once. */
export function factsUsedIn(value: unknown): string[] {
  return [...new Set([...textsIn(value, [])].flatMap(({ text }) => namesIn(text)))];
}

/** The same value with every placeholder replaced. `known` has all that factsUsedIn() names. */
export function fillIn<Value>(value: Value, known: ReadonlyMap<string, string>): Value;
export function fillIn(value: unknown, known: ReadonlyMap<string, string>): unknown {
  if (typeof value === "string") return value.replace(placeholder, (_, name) => known.get(name) ?? "");
  if (Array.isArray(value)) return value.map((element) => fillIn(element, known));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, fillIn(member, known)]));
}

/** Placeholders that nobody can fill: unknown ones, and those of another identity than `source`. */
export function* templateProblems(value: unknown, at: KeyPath, source: unknown): Generator<Problem> {
  for (const { text: template, path } of textsIn(value, at)) {
    for (const name of namesIn(template)) {
      const fact = Object.hasOwn(facts, name) ? facts[name] : undefined;
      if (!fact && !macFact.test(name)) {
        yield { path, text: `there is no fact \${${name}}; there are ${available}` };
      } else if (fact?.of && source !== undefined && source !== "auto" && source !== fact.of) {
        yield { path, text: `\${${name}} needs an identity with source = "${fact.of}", not "${source}"` };
      }
    }
  }
}

/** The text as it is checked before its facts are known: each of them as one letter. */
export const withoutFacts = (text: string): string => text.replace(placeholder, "x");

const namesIn = (text: string): string[] => [...text.matchAll(placeholder)].map(([, name = ""]) => name);

function* textsIn(value: unknown, path: KeyPath): Generator<{ text: string; path: KeyPath }> {
  if (typeof value === "string") yield { text: value, path };
  else if (Array.isArray(value))
    for (const [index, element] of value.entries()) yield* textsIn(element, [...path, index]);
  else if (typeof value === "object" && value !== null)
    for (const [key, member] of Object.entries(value)) yield* textsIn(member, [...path, key]);
}
