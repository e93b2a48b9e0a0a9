import { array, assert, constantFrom, property, string, uint8Array } from "fast-check";
import { describe, expect, it } from "vitest";
import { parseRequest, requirePermission } from "../../../src/agent/control/request.ts";
import { decodeError, decodeLine, encodeLine, lineCutter } from "../../../src/agent/control/wire.ts";
import { MooringError } from "../../../src/errors.ts";

describe("lineCutter()", () => {
  it("finds the same lines, whatever pieces they come in", () => {
    const texts = array(string({ unit: "grapheme" }).map((text) => text.replaceAll("\n", " ")));
    assert(
      property(texts, array(constantFrom(1, 2, 3, 7, 1000), { minLength: 1 }), (lines, sizes) => {
        const bytes = Buffer.from(lines.map((line) => `${line}\n`).join(""));
        const cut = lineCutter(1 << 20);
        const found: string[] = [];
        for (let at = 0, turn = 0; at < bytes.length; turn++) {
          const size = sizes[turn % sizes.length] ?? 1;
          found.push(...(cut(bytes.subarray(at, at + size)) ?? ["too long"]));
          at += size;
        }
        expect(found).toEqual(lines);
      }),
    );
  });

  it.each([
    ["in one piece", ["x".repeat(11)]],
    ["with its end", [`${"x".repeat(11)}\n`]],
    ["in many", ["xxxxx", "xxxxx", "x"]],
    ["behind a short one", [`ok\n${"x".repeat(11)}`]],
  ])("refuses a line that is too long, %s", (_what, pieces) => {
    const cut = lineCutter(10);
    expect(pieces.map((piece) => cut(Buffer.from(piece))).at(-1)).toBeUndefined();
  });

  it("takes one that just fits", () => {
    const cut = lineCutter(10);
    expect(cut(Buffer.from("x".repeat(10)))).toEqual([]);
    expect(cut(Buffer.from("\nnext\n"))).toEqual(["x".repeat(10), "next"]);
  });
});

describe("a line", () => {
  it("of any bytes is an object or nothing, and no request by accident", () => {
    assert(
      property(uint8Array(), (bytes) => {
        const text = Buffer.from(bytes).toString();
        const line = decodeLine(text);
        expect(line === undefined || typeof line === "object").toBe(true);
        expect(() => parseRequest(text)).toThrow(MooringError);
      }),
    );
  });

  it("never carries a line end, so that whatever is said stays one line", () => {
    const line = encodeLine({ done: { text: "a\nb\u2028c" } });
    expect(line.indexOf("\n")).toBe(line.length - 1);
  });
});

describe("an error that came over the wire", () => {
  it.each([
    [undefined],
    [null],
    ["text"],
    [{}],
    [{ code: "ERR_FUTURE" }],
    [{ code: "constructor" }],
    [{ code: 7 }],
  ])("and is %j is one of the protocol", (value) => {
    expect(decodeError(value)).toMatchObject({ code: "ERR_CONTROL_PROTOCOL" });
  });
});

describe("permission", () => {
  it("is not given to a stranger for anything that changes something", () => {
    const requests = ["rollback", "provision", "reprovision"].map((what) =>
      parseRequest(JSON.stringify({ do: what })),
    );
    for (const client of ["stranger", { pid: 1, uid: 1000, gid: 0 }] as const)
      for (const request of requests)
        expect(() => requirePermission(request, client, 1001)).toThrow(/may not ask the daemon/);
  });
});
