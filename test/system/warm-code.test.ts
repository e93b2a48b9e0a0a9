import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { loadWarm } from "../../src/system/warm-code.ts";

let directory: string;
let file: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "mooring-warm-"));
  file = join(directory, "answers.cjs");
  write(42);
});
afterEach(() => rmSync(directory, { recursive: true }));

const cache = (): string => join(directory, "cache");
const keptFile = (): string => join(cache(), readdirSync(cache())[0] ?? "");

const write = (answer: number): void =>
  writeFileSync(
    file,
    `exports.answer = () => ${answer}; exports.place = __filename; exports.os = require("node:os");`,
  );

function load() {
  const { exports, ...warm } = loadWarm(file, cache());
  return { ...warm, answers: exports as { answer: () => number; place: string; os: object } };
}

describe("a file of the bundle", () => {
  it("is run as the CommonJS module that it is", async () => {
    const { answers } = load();
    expect(answers.answer()).toBe(42);
    expect(answers.place).toBe(file);
    expect(answers.os).toBe((await import("node:os")).default);
  });

  it("comes with what an earlier run compiled, and with more of it after more has run", () => {
    const first = load();
    expect(first.isWarm).toBe(false);
    first.keep();
    const { length } = readFileSync(keptFile());
    first.answers.answer();
    first.keep();
    expect(readFileSync(keptFile()).length).toBeGreaterThan(length);
    const second = load();
    expect(second.isWarm).toBe(true);
    expect(second.answers.answer()).toBe(42);
  });

  it("that was replaced by one of the same length is compiled anew", () => {
    load().keep();
    write(43);
    const { isWarm, answers } = load();
    expect({ isWarm, answer: answers.answer() }).toEqual({ isWarm: false, answer: 43 });
  });

  it.each([[0], [40], [-1]])("is compiled anew when byte %i of what was kept is damaged", (at) => {
    load().keep();
    const content = readFileSync(keptFile());
    const index = at < 0 ? content.length + at : at;
    content[index] = ~(content[index] ?? 0) & 0xff;
    writeFileSync(keptFile(), content);
    const { isWarm, answers, keep } = load();
    expect({ isWarm, answer: answers.answer() }).toEqual({ isWarm: false, answer: 42 });
    keep();
    expect(load().isWarm).toBe(true);
  });

  it("is run all the same where nothing can be kept", () => {
    writeFileSync(cache(), "");
    const { isWarm, answers, keep } = load();
    keep();
    expect({ isWarm, answer: answers.answer() }).toEqual({ isWarm: false, answer: 42 });
  });
});
