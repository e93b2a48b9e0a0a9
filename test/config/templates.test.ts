import { describe, expect, it } from "vitest";
import { factsUsedIn, fillIn, templateProblems } from "../../src/config/templates.ts";

const problemsOf = (value: unknown, source?: string): string[] =>
  [...templateProblems(value, ["at"], source)].map(({ path, text }) => `${path.join(".")}: ${text}`);

describe("templates", () => {
  const payload = {
    plain: "a $5 bill, {x}",
    site: { board: `\${product}/\${serial}`, list: [`\${mac:eth0}`, 7, null, true] },
  };

  it("name the facts they use, however deep, each once", () => {
    expect(factsUsedIn({ ...payload, again: `\${serial}` })).toEqual(["product", "serial", "mac:eth0"]);
    expect(factsUsedIn("gw-0001")).toEqual([]);
    expect(factsUsedIn(undefined)).toEqual([]);
  });

  it("are filled in, and all else stays as it is", () => {
    const known = new Map([
      ["product", "Gate 4"],
      ["serial", `$& $1 \${hostname}`],
      ["mac:eth0", "02:00:00:00:00:01"],
    ]);
    expect(fillIn(payload, known)).toEqual({
      plain: "a $5 bill, {x}",
      site: { board: `Gate 4/$& $1 \${hostname}`, list: ["02:00:00:00:00:01", 7, null, true] },
    });
  });

  it("have no problem with the facts there are", () => {
    const all = `\${serial}\${product}\${machine-id}\${hostname}\${mac:eth0}\${mac:br-lan.10}\${cn}\${ek-sha256}`;
    expect(problemsOf(all)).toEqual([]);
    expect(problemsOf(all, "auto")).toEqual([]);
  });

  it.each([
    "serail",
    "",
    "Serial",
    "mac",
    "mac:",
    "mac:..",
    "mac:a/b",
    "mac:longer-than-15-chars",
    "toString",
  ])("do not know %j, and say what they know", (name) => {
    const [problem, ...more] = problemsOf({ line: [`x\${${name}}`] });
    expect(more).toEqual([]);
    expect(problem).toContain(
      `at.line.0: there is no fact \${${name}}; there are \${mac:INTERFACE}, \${serial}`,
    );
  });

  it.each([
    ["cn", "tpm", "x509"],
    ["cn", "symmetric-key", "x509"],
    ["ek-sha256", "x509", "tpm"],
  ])("refuse %s with an identity of source %s", (name, source, needed) => {
    expect(problemsOf(`\${${name}}`, source)).toEqual([
      `at: \${${name}} needs an identity with source = "${needed}", not "${source}"`,
    ]);
    expect(problemsOf(`\${${name}}`, needed)).toEqual([]);
  });
});
