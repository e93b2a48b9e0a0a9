import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { checkJson } from "../../../src/service/portal/page/data/json-check.ts";

describe("the JSON check of the page", () => {
  it.each([
    ["nothing", "", "expected a value; the text ends here", 1, 1],
    ["a missing comma", '{\n  "a": 1\n  "b": 2\n}', 'expected a comma or }; found "', 3, 3],
    ["a comma too many", '{\n  "a": 1,\n}', "no comma after the last member", 2, 9],
    ["single quotes", "{'a': 1}", "expected a name in double quotes; JSON takes double quotes", 1, 2],
    ["a name without quotes", "{a: 1}", "expected a name in double quotes; found a", 1, 2],
    ["a missing colon", '{"a" 1}', "expected a colon after the name; found 1", 1, 6],
    ["a text without end", '{"a": "b\n}', "the text in quotes does not end", 1, 7],
    ["an unknown escape", '"\\x41"', "not an escape that JSON knows", 1, 2],
    ["a leading zero", "[01]", "expected a value; found 0", 1, 2],
    ["a word", "[True]", "expected a value; found T", 1, 2],
    ["two values", "{} {}", "nothing may follow the value; found {", 1, 4],
    ["a name twice", '{"a": 1,\n "a": 2}', 'the name "a" is here twice', 2, 2],
    ["an end too early", '{"a": [1, 2', "expected a comma or ]; the text ends here", 1, 12],
  ])("finds %s", (_name, text, what, line, column) => {
    expect(checkJson(text)).toMatchObject({ mistake: { what, line, column } });
  });

  it("gives the value of what is right", () => {
    expect(checkJson(' {"a": [1.5e3, null, "\\u00e4"]}\n')).toEqual({ value: { a: [1500, null, "ä"] } });
  });

  it("refuses to follow a text into the depth without end", () => {
    expect(checkJson("[".repeat(100_000))).toMatchObject({ mistake: { what: "nested too deep" } });
  });

  it("takes what JSON.parse takes, and nothing else", () => {
    const mutated = fc
      .tuple(
        fc.json({ maxDepth: 4 }),
        fc.nat(),
        fc.constantFrom("", ",", "}", "]", '"', "\\", "0", "-", "e", "\n", "\u0001"),
      )
      .map(([text, at, piece]) => {
        const place = at % (text.length + 1);
        return text.slice(0, place) + piece + text.slice(place + (at % 2));
      });
    fc.assert(
      fc.property(mutated, (text) => {
        const { mistake } = { mistake: undefined, ...checkJson(text) };
        // A name that stands twice is only wrong here.
        if (mistake?.what.endsWith("twice")) return;
        expect(mistake === undefined, text).toBe(isJson(text));
      }),
      { numRuns: 2000 },
    );
  });
});

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
