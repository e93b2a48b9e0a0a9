// The rules of the house, read from the sources: imports go one way, pure files stay pure, one file names the FFI.
// Each rule first proves on a planted violation that it can see one.

import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { describe, expect, it } from "vitest";

const tiers: Record<string, number> = {
  main: 4,
  cli: 3,
  agent: 2,
  registration: 1,
  identity: 1,
  assignment: 1,
  config: 1,
  enrollment: 1,
  tpm: 0,
  system: 0,
  errors: 0,
};

const pure = [
  "agent/decide.ts",
  "agent/pace.ts",
  "agent/attempt-record.ts",
  "registration/handshake.ts",
  "registration/answers.ts",
  "registration/wire.ts",
  "registration/sas.ts",
  "registration/retry.ts",
  "registration/transport-choice.ts",
  "config/schema.ts",
  "config/templates.ts",
];

interface Source {
  /** Path below src/. */
  readonly file: string;
  readonly text: string;
}

const sources = (): Source[] =>
  readdirSync("src", { recursive: true, encoding: "utf8" })
    .filter((file) => /\.tsx?$/.test(file))
    .map((file) => ({ file, text: readFileSync(join("src", file), "utf8") }));

const importsOf = ({ text }: Source): string[] =>
  [...text.matchAll(/(?:from\s+|import\s*\(\s*|import\s+)"([^"]+)"/g)].map(([, specifier = ""]) => specifier);

const roomOf = (file: string): string => file.split("/")[0]?.replace(/\.ts$/, "") ?? "";

const inner = (source: Source): string[] =>
  importsOf(source)
    .filter((specifier) => specifier.startsWith(".") && /\.tsx?$/.test(specifier))
    .map((specifier) => normalize(join(dirname(source.file), specifier)));

function wrongWay(source: Source): string[] {
  const from = roomOf(source.file);
  return inner(source)
    .filter((target) => {
      const to = roomOf(target);
      if (from === to) return false;
      if (from === "service")
        return !(target === "registration/wire.ts" || to === "system" || to === "errors");
      if (to === "service") return from !== "cli";
      if (to === "errors" || to === "system") return false;
      return (tiers[from] ?? -1) <= (tiers[to] ?? 99);
    })
    .map((target) => `${source.file} → ${target}`);
}

function impure(source: Source): string[] {
  if (!pure.includes(source.file)) return [];
  const outside = importsOf(source).filter((specifier) => specifier.startsWith("node:"));
  const ambient =
    source.text.match(/\b(Date\.now|new Date\(\)|performance\.now|Math\.random|process\.|setTimeout)\b/g) ??
    [];
  return [...outside, ...ambient].map((what) => `${source.file}: ${what}`);
}

const namesFfi = (source: Source): string[] =>
  /["']ffi-napi["']/.test(source.text) && source.file !== "tpm/library.ts" ? [source.file] : [];

const plainErrors = (source: Source): string[] =>
  /throw new (Error|TypeError|RangeError)\(/.test(source.text) ? [source.file] : [];

/** Node.js 22 does not bind them by position. */
const numberedParameters = (source: Source): string[] =>
  [...source.text.matchAll(/[=<>(, ](\?\d+)\b/g)].map(([, parameter]) => `${source.file}: ${parameter}`);

const eagerHeavyweights = (source: Source): string[] =>
  [
    ...source.text.matchAll(
      /^import (?!type)[^;]*?from "(fastify|pino|mqtt|node-forge|systeminformation|ws|csv-parse|csv-stringify\/sync|qrcode-generator)";/gm,
    ),
  ]
    .filter(([, name]) => !homes[name ?? ""]?.includes(source.file))
    .map(([, name]) => `${source.file}: ${name}`);

/** Where a heavy package may be imported at the top: files that are themselves loaded lazily. */
const homes: Record<string, readonly string[]> = {
  fastify: ["service/https-server.ts", "service/service-api.ts", "service/device-routes.ts"],
  pino: ["cli/journal.ts"],
  mqtt: [],
  "node-forge": ["service/certificate.ts", "identity/pkcs12.ts"],
  systeminformation: [],
  // The operator's commands are a file of their own.
  "csv-parse": ["enrollment/csv-rows.ts"],
  "csv-stringify/sync": ["enrollment/export.ts", "cli/import-report.ts"],
  "qrcode-generator": [],
  ws: ["registration/websocket.ts", "service/websocket.ts"],
};

/** The build would take all of their members, whatever loading those costs; process.getBuiltinModule() takes what is named. */
const builtinsAtOnce = ({ file, text }: Source): string[] => (/import\(\s*"node:/.test(text) ? [file] : []);

const rules: [string, (source: Source) => string[], Source][] = [
  ["imports go one way", wrongWay, { file: "tpm/x.ts", text: 'import { a } from "../agent/decide.ts";' }],
  [
    "only the command line imports the service",
    wrongWay,
    { file: "agent/x.ts", text: 'import { a } from "../service/store.ts";' },
  ],
  [
    "the service knows nothing of the agent's rooms",
    wrongWay,
    { file: "service/x.ts", text: 'import { a } from "../registration/sas.ts";' },
  ],
  [
    "rooms of one tier do not import one another",
    wrongWay,
    { file: "identity/x.ts", text: 'import { a } from "../config/load.ts";' },
  ],
  [
    "pure files do no I/O",
    impure,
    { file: "registration/retry.ts", text: 'import { readFile } from "node:fs";' },
  ],
  [
    "pure files have no clock and no dice of their own",
    impure,
    { file: "agent/decide.ts", text: "const at = Date.now();" },
  ],
  ["one file names the FFI", namesFfi, { file: "tpm/x.ts", text: 'require("ffi-napi")' }],
  [
    "parameters of statements have names, or none",
    numberedParameters,
    { file: "service/x.ts", text: 'db.prepare("SELECT * FROM hub WHERE name = ?1")' },
  ],
  ["failures are MooringErrors", plainErrors, { file: "cli/x.ts", text: 'throw new Error("no")' }],
  [
    "what is Node's own is loaded by name",
    builtinsAtOnce,
    { file: "system/x.ts", text: 'const { request } = await import("node:http");' },
  ],
  [
    "heavy packages load lazily",
    eagerHeavyweights,
    { file: "cli/x.ts", text: 'import { pino } from "pino";' },
  ],
];

describe("the house", () => {
  it("reads a source tree that is there", () => {
    expect(sources().length).toBeGreaterThan(40);
  });

  it.each(rules)("sees a planted violation of: %s", (_rule, findings, planted) => {
    expect(findings(planted)).not.toEqual([]);
  });

  it.each(rules)("keeps the rule: %s", (_rule, findings) => {
    expect(sources().flatMap(findings)).toEqual([]);
  });
});
