// The forms in which an assignment is published: an environment file, JSON, TOML, or a template of the operator's.

import { stringify } from "smol-toml";
import { MooringError } from "../errors.ts";
import type { Assignment } from "./assignment.ts";
import { lastingEnvironment, passable, plainText, publishedFields, unfit } from "./published.ts";

const header = "# Written by Mooring and replaced when the assignment changes; edits are lost.\n";

/**
 * `NAME="value"` lines that systemd's EnvironmentFile= and a POSIX shell read alike: inside double quotes both take
 * a backslash before \ " $ ` for the character itself, and both keep tabs and newlines.
 */
export function renderEnv(assignment: Assignment): string {
  const variables = lastingEnvironment(assignment);
  for (const [name, value] of Object.entries(variables)) {
    if (value.search(unfit) < 0) continue;
    throw new MooringError(
      "ERR_OUTPUT",
      `cannot write ${name} to an environment file: it holds a control character, or what is none of Unicode's`,
    );
  }
  const lines = Object.entries(passable(variables)).map(
    ([name, value]) => `${name}="${value.replace(/[\\"$`]/g, "\\$&")}"\n`,
  );
  return header + lines.join("");
}

/** The fields of assignment.json, without what only Mooring itself needs. */
export function renderJson(assignment: Assignment): string {
  const published = Object.entries(assignment).filter(([name]) => !internal.has(name));
  return `${JSON.stringify(Object.fromEntries(published), null, 2)}\n`;
}

const internal: ReadonlySet<string> = new Set([
  "schemaVersion",
  "operationId",
  "etag",
  "publicKeySha256",
  "inputs",
]);

/** TOML knows no null: members of the payload that are null are left out. */
export function renderToml(assignment: Assignment): string {
  return `${header}${stringify(withoutNulls(publishedFields(assignment)) as object)}\n`;
}

/** Fills `{{ name }}` with a published field, `{{ payload.a.b }}` with a member of the payload; throws ERR_OUTPUT. */
export function renderTemplate(template: string, assignment: Assignment): string {
  const problems = templateProblems(template);
  if (problems.length > 0)
    throw new MooringError("ERR_OUTPUT", `cannot fill the template: ${problems.join("; ")}`);
  const fields = publishedFields(assignment);
  return template.replace(placeholder, (_, name: string) => {
    const [field = "", ...members] = name.trim().split(".");
    const value = members.reduce(memberOf, fields[field]);
    if (value === undefined && members.length > 0) {
      throw new MooringError("ERR_OUTPUT", `cannot fill the template: the assignment has no ${name.trim()}`);
    }
    return value === undefined ? "" : plainText(value);
  });
}

/** What is wrong with a template, whatever the assignment will be. */
export function templateProblems(template: string): string[] {
  const names = [...template.matchAll(placeholder)].map(([, name = ""]) => name.trim());
  return names
    .filter((name) => !known.has(name) && !/^payload(?:\.[^.\s]+)+$/.test(name))
    .map((name) => `there is no {{ ${name} }}; there are ${[...known].join(", ")} and payload.NAME`);
}

const placeholder = /\{\{(.*?)\}\}/g;
const known: ReadonlySet<string> = new Set(Object.keys(publishedFields({} as Assignment)));

function memberOf(value: unknown, name: string): unknown {
  if (typeof value !== "object" || value === null) return undefined;
  return Object.entries(value).find(([key]) => key === name)?.[1];
}

function withoutNulls(value: unknown): unknown {
  if (Array.isArray(value)) return value.filter((item) => item !== null).map(withoutNulls);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, member]) => member !== null && member !== undefined)
      .map(([name, member]) => [name, withoutNulls(member)]),
  );
}
