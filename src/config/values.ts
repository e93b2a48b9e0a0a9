// The single values of a configuration: what each may be, said in the same words when it is not.

import * as v from "valibot";
import { withoutFacts } from "./templates.ts";

const hostName =
  /^(?=.{1,253}$)[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*$/i;
const scope = /^0[a-z]{2}[a-z0-9]{6,16}$/i;
// DPS's rule; identity/registration-id.ts applies it to ids that come from certificates and TPMs.
const registration = /^[a-z0-9\-._:]{0,127}[a-z0-9-]$/i;
const proxyUrl = /^https?:\/\/(?:[^\s@/]+@)?(?:[a-z0-9.-]+|\[[0-9a-f:.]+\]):\d{1,5}\/?$/i;
const accountName = /^(?:[a-z_][a-z0-9_.-]*\$?|\d{1,10})$/i;
const durationPart = /(\d+)\s*(ms|s|min|h|d)\s*/g;
const hourMs = 3_600_000;
const dayMs = 24 * hourMs;
const unitMs: Readonly<Record<string, number>> = { ms: 1, s: 1000, min: 60_000, h: hourMs, d: dayMs };

/** A message that states the allowed range and shows what was there instead. */
const must = (words: string) => (issue: v.BaseIssue<unknown>) =>
  `must be ${words}, not ${shown(issue.input)}`;

const matching = (words: string, pattern: RegExp) =>
  v.pipe(v.string(must(words)), v.regex(pattern, must(words)));

const within = (words: string, low: number, high: number) =>
  v.pipe(
    v.number(must(words)),
    v.check((n) => Number.isInteger(n) && n >= low && n <= high, must(words)),
  );

export const oneOf = <const Choices extends readonly string[]>(choices: Choices) =>
  v.picklist(choices, must(`one of ${choices.map((choice) => JSON.stringify(choice)).join(", ")}`));

export const table = <Entries extends v.ObjectEntries>(entries: Entries) =>
  v.pipe(v.object(entries, must("a table")), v.transform(camelKeys));

export const endpoint = matching("a host name or IPv4 address without scheme, port or path", hostName);
export const idScope = matching('an ID scope as the portal shows it, such as "0ne0012ABCD"', scope);
const registrationWords = "1 to 128 of A-Z a-z 0-9 - . _ : ending in a letter, a digit or -";
/** Or a template of one: once its facts are known, it is held to the same rule again. */
export const registrationId = v.pipe(
  v.string(must(registrationWords)),
  v.check((id) => registration.test(withoutFacts(id)), must(registrationWords)),
);
export const port = within("a port from 1 to 65535", 1, 65_535);
export const account = matching("the name or number of an account", accountName);
export const tcti = matching('a TCTI, such as "device:/dev/tpmrm0"', /^[a-z0-9-]+(?::[^\0]*)?$/);
export const persistentHandle = within(
  "an owner's persistent handle from 0x81000000 to 0x817fffff",
  0x8100_0000,
  0x817f_ffff,
);

const proxyWords = "must be http://[user:password@]host:port, or https://…";
/** Never shown: it may hold a password. */
export const proxy = v.pipe(
  v.string(proxyWords),
  v.check((url) => proxyUrl.test(url) && URL.canParse(url), proxyWords),
);

/** What fits into a `sockaddr_un`, with the zero byte that ends it (unix(7)). */
const longestSocketPath = 107;
const socketWords = `a path of at most ${longestSocketPath} bytes: a Unix socket has no longer one`;
const pathWords = "a path";
export const path = v.pipe(
  v.string(must(pathWords)),
  v.check((text) => text.length > 0 && !text.includes("\0"), must(pathWords)),
);

export const socketPath = v.pipe(
  path,
  v.check((text) => Buffer.byteLength(text) <= longestSocketPath, must(socketWords)),
);

const payloadWords = "a table of what JSON can say";
export const payload = v.pipe(
  v.custom<Record<string, unknown>>(isTable, must(payloadWords)),
  v.transform((content): Record<string, unknown> => JSON.parse(JSON.stringify(content))),
);

const commandWords =
  'a list of program and arguments, such as ["/usr/local/bin/hub-changed", "--quiet"]; no shell is involved';
export const command = v.pipe(
  v.array(v.string(must("text")), must(commandWords)),
  v.check(
    (words) => Boolean(words[0]) && words.every((word) => typeof word === "string" && !word.includes("\0")),
    must(commandWords),
  ),
);

const modeWords = 'permission bits, such as 0o640 or "0640"';
/** Permission bits as a TOML octal, or as the text that chmod takes. */
export const mode = v.pipe(
  v.union([v.number(), v.string()], must(modeWords)),
  v.check((bits) => modeOf(bits) !== undefined, must(modeWords)),
  v.transform((bits) => modeOf(bits) as number),
);

/** Seconds as a number, or text in systemd's manner; milliseconds come out. */
const durationFrom = (words: string, lowMs: number, highMs: number) => {
  const isRight = (ms: number): boolean => Number.isInteger(ms) && ms >= lowMs && ms <= highMs;
  return v.pipe(
    v.union([v.number(), v.string()], must(words)),
    v.check((time) => isRight(durationMs(time)), must(words)),
    v.transform(durationMs),
  );
};

export const duration = durationFrom(
  'a time from 1s to 24h, such as 90 (seconds), "90s" or "2min"',
  1000,
  dayMs,
);
/** For what may be switched off by being no time at all. */
export const durationOrZero = durationFrom('a time from 0s to 24h, such as "15min"', 0, dayMs);

const off = v.pipe(
  v.literal("off"),
  v.transform(() => undefined),
);
const idleWords = 'a time from 1s to 24h, such as "2min", or "off"';
export const durationOrOff = v.union([off, durationFrom(idleWords, 1000, dayMs)], must(idleWords));
const periodWords = 'a time from 1min to 365d, such as "30d", or "off"';
export const periodOrOff = v.union([off, durationFrom(periodWords, 60_000, 365 * dayMs)], must(periodWords));

export function isTable(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Date);
}

function modeOf(bits: number | string): number | undefined {
  if (typeof bits === "string") return /^0?[0-7]{3}$/.test(bits) ? Number.parseInt(bits, 8) : undefined;
  return Number.isInteger(bits) && bits >= 0 && bits <= 0o777 ? bits : undefined;
}

/** Not a number for what is no time. */
function durationMs(time: number | string): number {
  if (typeof time === "number") return time * 1000;
  const text = time.trim();
  const parts = [...text.matchAll(durationPart)];
  if (parts.length === 0 || parts.map(([whole]) => whole).join("") !== text) return Number.NaN;
  return parts.reduce((sum, [, count, unit]) => sum + Number(count) * (unitMs[unit ?? ""] ?? Number.NaN), 0);
}

function shown(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value.length > 60 ? `${value.slice(0, 57)}…` : value);
  if (Array.isArray(value)) return "a list";
  if (value instanceof Date) return "a date";
  return typeof value === "object" ? "a table" : String(value);
}

type Camel<Key extends string> = Key extends `${infer Head}_${infer Tail}`
  ? `${Head}${Capitalize<Camel<Tail>>}`
  : Key;
type CamelKeys<Table> = { [Key in keyof Table as Camel<Key & string>]: Table[Key] };

/** TOML says `ca_file`, TypeScript `caFile`. */
function camelKeys<Table extends object>(content: Table): CamelKeys<Table> {
  const renamed = Object.entries(content).map(([key, value]) => [
    key.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase()),
    value,
  ]);
  return Object.fromEntries(renamed) as CamelKeys<Table>;
}
