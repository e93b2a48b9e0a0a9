// The first thing every command does: read config.toml and its drop-ins, merge them, and hand out a Config or all
// problems at once. Synchronous, because nothing else can start before it is done.

import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { parse, TomlError } from "smol-toml";
import { safeParse } from "valibot";
import { MooringError, systemCode } from "../errors.ts";
import { forbidden } from "../system/permissions.ts";
import { resolvePaths } from "./paths.ts";
import { keyText, schemaProblem, structureProblems } from "./problems.ts";
import { crossProblems, type KeyPath } from "./rules.ts";
import { type Config, configTable } from "./schema.ts";
import { isTable } from "./values.ts";

type Tables = Record<string, unknown>;

/**
 * Reads `file` and, in order of their names, the `*.toml` of the directory `<file without .toml>.d` beside it.
 * Tables merge key by key; a later file's values and lists replace earlier ones. Relative paths are taken from the
 * directory of `file`; `credential:NAME` is a credential that systemd passes (LoadCredential=).
 * Throws ERR_CONFIG_NOT_FOUND; ERR_PERMISSION; ERR_CONFIG_INVALID with every problem (file, key path, allowed range) in
 * `details.problems`.
 */
export function loadConfig(file: string): Config {
  const main = resolve(file);
  const tables: Tables = {};
  const origins = new Map<string, string>();
  const syntax: string[] = [];
  for (const source of [main, ...dropIns(main)]) {
    const content = parseFile(source, { isMain: source === main, syntax });
    if (content) merge(tables, content, source, origins, []);
  }
  if (syntax.length > 0) throw invalid(main, syntax);

  resolvePaths(tables, dirname(main));
  const result = safeParse(configTable, tables);
  const problems = [
    ...structureProblems(tables),
    ...(result.issues ?? []).map(schemaProblem),
    ...crossProblems(tables),
  ];
  if (result.success && problems.length === 0) return result.output;
  throw invalid(
    main,
    problems.map(({ path, text }) => `${originOf(path, origins) ?? main}: ${keyText(path)}: ${text}`),
  );
}

function dropIns(main: string): string[] {
  const directory = `${main.replace(/\.toml$/, "")}.d`;
  try {
    return readdirSync(directory)
      .filter((name) => name.endsWith(".toml") && !name.startsWith("."))
      .sort()
      .map((name) => join(directory, name));
  } catch (error) {
    if (systemCode(error) === "ENOENT" || systemCode(error) === "ENOTDIR") return [];
    throw unreadable(directory, error);
  }
}

function parseFile(
  file: string,
  { isMain, syntax }: { isMain: boolean; syntax: string[] },
): Tables | undefined {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    // A drop-in that is a link to nowhere is no reason to write the main file anew.
    if (systemCode(error) !== "ENOENT" || !isMain) throw unreadable(file, error);
    const message = `there is no configuration at ${file}`;
    throw new MooringError("ERR_CONFIG_NOT_FOUND", message, { cause: error, path: file });
  }
  try {
    return parse(text);
  } catch (error) {
    if (!(error instanceof TomlError)) throw error;
    const what = error.message.split("\n", 1)[0]?.replace(/^Invalid TOML document: /, "");
    syntax.push(`${file}:${error.line}:${error.column}: not TOML: ${what}`);
    return undefined;
  }
}

function merge(into: Tables, from: Tables, file: string, origins: Map<string, string>, path: KeyPath): void {
  for (const [key, value] of Object.entries(from)) {
    const at = [...path, key];
    const existing = Object.hasOwn(into, key) ? into[key] : undefined;
    // A table that several files share stays the first one's: what is missing in it is missing there.
    if (!isTable(value) || !isTable(existing)) origins.set(keyText(at), file);
    if (isTable(value)) {
      const target = isTable(existing) ? existing : {};
      put(into, key, target);
      merge(target, value, file, origins, at);
    } else {
      put(into, key, value);
    }
  }
}

/** Assignment that also holds for a key named `__proto__`. */
function put(into: Tables, key: string, value: unknown): void {
  Object.defineProperty(into, key, { value, writable: true, enumerable: true, configurable: true });
}

function originOf(path: KeyPath, origins: ReadonlyMap<string, string>): string | undefined {
  for (let length = path.length; length > 0; length -= 1) {
    const file = origins.get(keyText(path.slice(0, length)));
    if (file !== undefined) return file;
  }
  return undefined;
}

function unreadable(path: string, cause: unknown): MooringError {
  const isForbidden = forbidden("the configuration", path, cause);
  if (isForbidden) return isForbidden;
  const message = `cannot read the configuration ${path}: ${cause instanceof Error ? cause.message : cause}`;
  return new MooringError("ERR_CONFIG_INVALID", message, { cause, path, problems: [message] });
}

function invalid(file: string, problems: readonly string[]): MooringError {
  const count = problems.length === 1 ? "one problem" : `${problems.length} problems`;
  const message = `the configuration ${file} has ${count}`;
  return new MooringError("ERR_CONFIG_INVALID", message, { path: file, problems });
}
