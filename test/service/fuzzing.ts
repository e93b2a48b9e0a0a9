// What the fuzz tests make their requests of: texts, JSON and bytes that somebody might send, and valid things with a
// few places spoiled. fast-check prints seed and path of whatever fails; MOORING_FUZZ_SEED repeats it.

import fc from "fast-check";
import type { RecordingLog } from "../support/recording-log.ts";

/** Seconds to go on for; without MOORING_FUZZ a fixed number of runs, few enough for every build. */
const seconds = Number(process.env["MOORING_FUZZ"] ?? 0);
const seed = process.env["MOORING_FUZZ_SEED"];

export const fuzzTimeoutMs = seconds * 1000 + 60_000;

/** Parameters for fc.assert. */
export const effort = (runs: number): fc.Parameters<unknown> => ({
  ...(seconds > 0
    ? { numRuns: 1_000_000_000, interruptAfterTimeLimit: seconds * 1000, markInterruptAsFailure: false }
    : { numRuns: runs }),
  ...(seed !== undefined && { seed: Number(seed) }),
});

const evilTexts = [
  "",
  " ",
  ".",
  "..",
  "../../etc/passwd",
  "__proto__",
  "constructor",
  "toString",
  "\u0000",
  "\ud800",
  "\u202egpj",
  "%00",
  "%zz",
  "%",
  "%25",
  "a/b",
  "a?b#c",
  "*",
  "'; DROP TABLE enrollment; --",
  '"',
  "\\",
  "\r\nX-Injected: 1",
  "𝒳",
  "Ⅸ",
  "ı",
  "1e999",
  "null",
  "[object Object]",
  "a".repeat(128),
  "a".repeat(129),
  "a".repeat(5000),
  " ".repeat(5000),
];

export const text: fc.Arbitrary<string> = fc.oneof(
  fc.constantFrom(...evilTexts),
  fc.string({ maxLength: 20 }),
  fc.string({ unit: "binary", maxLength: 20 }),
  fc.base64String({ maxLength: 100 }),
);

const json: fc.Arbitrary<unknown> = fc.oneof(
  fc.jsonValue({ maxDepth: 3 }),
  fc.constantFrom<unknown>(null, true, 0, -1, 1e308, 2 ** 53, 1.5, [], {}, [[]], { __proto__: null }),
  text,
  text.map((name) => ({ [name]: name })),
);

/** The valid thing as JSON text, with up to `most` of its places replaced, removed, or made something else. */
const spoiled = (valid: unknown, most = 3): fc.Arbitrary<string> =>
  fc
    .array(fc.tuple(fc.nat(), fc.option(json, { nil: undefined })), { maxLength: most })
    .map(
      (changes) =>
        JSON.stringify(
          changes.reduce<unknown>((value, [at, replacement]) => replaceAt(value, at, replacement), valid),
        ) ?? "",
    );

/** Bytes as text of one character each, so that what fails can be read. */
export type Bytes = string;
export const bytesOf = (bytes: Buffer | Uint8Array): Bytes => Buffer.from(bytes).toString("latin1");
export const bufferOf = (bytes: Bytes): Buffer => Buffer.from(bytes, "latin1");

/** A body: valid, spoiled, JSON of any kind, or bytes of any kind. */
export const body = (valid: unknown): fc.Arbitrary<Bytes> =>
  fc.oneof(
    { weight: 6, arbitrary: spoiled(valid).map((each) => bytesOf(Buffer.from(each))) },
    { weight: 1, arbitrary: json.map((each) => bytesOf(Buffer.from(JSON.stringify(each)))) },
    { weight: 1, arbitrary: fc.uint8Array({ maxLength: 60 }).map(bytesOf) },
    {
      weight: 1,
      arbitrary: fc.constantFrom("", " ", "{", "[".repeat(70), `{"payload":${"[".repeat(5000)}`),
    },
  );

type Path = readonly (string | number)[];

function replaceAt(value: unknown, at: number, replacement: unknown): unknown {
  const paths = pathsOf(value);
  const copy = structuredClone(value);
  const path = paths[at % paths.length] as Path;
  if (path.length === 0) return replacement;
  const holder = path.slice(0, -1).reduce<unknown>((into, step) => (into as never)[step], copy) as Record<
    string | number,
    unknown
  >;
  const last = path.at(-1) as string | number;
  if (replacement === undefined) delete holder[last];
  else holder[last] = replacement;
  return copy;
}

const pathsOf = (value: unknown, before: Path = []): Path[] =>
  typeof value === "object" && value !== null
    ? [before, ...Object.entries(value).flatMap(([key, each]) => pathsOf(each, [...before, key]))]
    : [before];

/** Bytes with a few changed, cut out or repeated. */
export const spoiledBytes = (valid: fc.Arbitrary<Bytes>): fc.Arbitrary<Bytes> =>
  fc
    .tuple(
      valid,
      fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 4 }),
      fc.option(fc.tuple(fc.nat(), fc.nat(40), fc.nat(2)), { nil: undefined, freq: 3 }),
    )
    .map(([bytes, changes, cut]) => {
      const spoilt = bufferOf(bytes);
      if (spoilt.length === 0) return bytes;
      for (const [at, value] of changes) spoilt[at % spoilt.length] = value;
      if (cut === undefined) return bytesOf(spoilt);
      const from = cut[0] % spoilt.length;
      const piece = spoilt.subarray(from, from + cut[1]);
      const between = Array<Buffer>(cut[2]).fill(piece);
      return bytesOf(Buffer.concat([spoilt.subarray(0, from), ...between, spoilt.subarray(from + cut[1])]));
    });

/** Text that may stand in a header. */
export const headerText = (given: string): string => given.replaceAll(/[^\t\x20-\x7e\x80-\xff]/g, "");

/** A segment of a path: mostly this one, escaped in some way or another. */
export const segment = (usual: string): fc.Arbitrary<string> =>
  fc.oneof(
    { weight: 8, arbitrary: fc.constant(encodeURIComponent(usual)) },
    {
      weight: 1,
      arbitrary: fc.constantFrom("%zz", "%", "%00", "%2F", "%c3%28", "%2e%2e", "a%2Fb", usual.toUpperCase()),
    },
    { weight: 1, arbitrary: text.map((each) => encodeURIComponent(each.toWellFormed())) },
  );

/** What fast-check says of a property that does not hold, and why not. */
export async function faultOf(attack: Promise<void>): Promise<string> {
  const fault = await attack.then(
    () => new Error("nothing was found"),
    (error: Error) => error,
  );
  return `${fault.message}\n${fault.cause}`;
}

/** What the service failed at since it was asked last, for people to read. */
export const failuresIn = (log: RecordingLog): string[] =>
  log.events
    .splice(0)
    .filter(({ level }) => level === "error")
    .map(({ event, fields }) => `${event}: ${(fields["error"] as Error | undefined)?.stack}`);
