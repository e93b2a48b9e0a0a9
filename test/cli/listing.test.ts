import { afterEach, describe, expect, it, vi } from "vitest";
import { type Listing, printListing } from "../../src/cli/listing.ts";
import { openTable } from "../../src/cli/table.ts";
import { virtualClock } from "../support/virtual-clock.ts";

afterEach(() => void vi.restoreAllMocks());

function table(width: number | undefined, ...blocks: string[][][]): string[] {
  const lines: string[] = [];
  const opened = openTable(["ID", "HUB", "N"], { width, print: (line) => lines.push(line) });
  for (const block of blocks) opened.add(block);
  return lines;
}

describe("a table", () => {
  it("is as wide as what is in it where nobody sets a width", () => {
    expect(table(undefined, [["gw-1", "a.example", "1"]])).toEqual([
      "ID    HUB        N",
      "gw-1  a.example  1",
    ]);
  });

  it.each([20, 30, 40, 60, 80])("is no wider than a terminal of %d columns", (width) => {
    const lines = table(width, [
      ["x".repeat(50), "y".repeat(30), "1"],
      ["gw-1", "", "22"],
    ]);
    for (const line of lines) expect(line.length).toBeLessThanOrEqual(width);
    expect(lines[1]).toContain("…");
  });

  it("cuts the widest column first and leaves the short ones whole", () => {
    expect(table(30, [["gw-0001", "h".repeat(40), "17"]])[1]).toBe(`gw-0001  ${"h".repeat(16)}…  17`);
  });

  it("cuts equal columns equally", () => {
    const line = table(30, [["x".repeat(40), "y".repeat(40), "1"]])[1] ?? "";
    expect(line.split("  ").map((cell) => cell.length)).toEqual([12, 13, 1]);
  });

  it("has one heading, however many blocks it comes in", () => {
    expect(table(80, [["a", "b", "c"]], [["d", "e", "f"]])).toHaveLength(3);
    expect(table(80, [])).toEqual(["ID  HUB  N"]);
  });

  it("shows nothing that would move a terminal's cursor", () => {
    expect(table(80, [["a\u001b[2J", "b\r\nc", "\u009b1m"]])[1]).toBe("a·[2J  b··c  ·1m");
  });
});

interface Row {
  readonly id: string;
  readonly at: number;
}

/** A list that is another at every look. */
function changing(looks: readonly (readonly Row[])[], onEnd: () => void): Listing<Row> {
  const left = [...looks];
  return {
    heading: ["ID", "AT"],
    cells: ({ id, at }) => [id, String(at)],
    idOf: ({ id }) => id,
    read: async function* () {
      yield* left.shift() ?? [];
      if (left.length === 0) onEnd();
    },
  };
}

async function watched(
  looks: readonly (readonly Row[])[],
  options: { json?: boolean; tty?: boolean },
): Promise<string> {
  const stop = new AbortController();
  let text = "";
  vi.spyOn(process.stdout, "write").mockImplementation((piece) => {
    text += piece;
    return true;
  });
  const before = process.stdout.isTTY;
  process.stdout.isTTY = options.tty ?? false;
  try {
    const clock = { ...virtualClock(), sleep: async () => stop.signal.throwIfAborted() };
    await printListing(
      changing(looks, () => stop.abort()),
      { watch: 2, ...options },
      { clock, signal: stop.signal },
    );
  } finally {
    process.stdout.isTTY = before;
  }
  return text;
}

describe("watching a list", () => {
  const looks = [
    [
      { id: "a", at: 1 },
      { id: "b", at: 1 },
    ],
    [
      { id: "a", at: 1 },
      { id: "b", at: 2 },
      { id: "c", at: 1 },
    ],
    [{ id: "b", at: 2 }],
  ];

  it("tells a program what was added, changed and removed, one JSON object a line", async () => {
    const lines = (await watched(looks, {}))
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(lines.map(({ event, id }) => `${event} ${id}`)).toEqual([
      ...["added a", "added b"],
      ...["changed b", "added c"],
      ...["removed a", "removed c"],
    ]);
    expect(lines[2]).toEqual({ event: "changed", id: "b", row: { id: "b", at: 2 } });
  });

  it("draws a terminal anew each time, and ends well when it is stopped", async () => {
    const screens = (await watched(looks, { tty: true })).split("\u001b[H\u001b[2J\u001b[3J").slice(1);
    expect(screens).toHaveLength(3);
    expect(screens[1]).toContain("c   1");
    expect(screens[2]).toContain("1 in all");
  });

  it("gives a terminal JSON lines when it asks for JSON", async () => {
    expect(await watched(looks, { tty: true, json: true })).toMatch(/^\{"event":"added","id":"a"/);
  });
});
