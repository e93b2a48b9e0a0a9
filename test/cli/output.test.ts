import { describe, expect, it, vi } from "vitest";
import { printFacts, printRows, reportError } from "../../src/cli/output.ts";
import { MooringError } from "../../src/errors.ts";

/** What `print` writes to standard output. */
function printed(print: () => void): string {
  const write = vi.spyOn(process.stdout, "write").mockReturnValue(true);
  try {
    print();
    return write.mock.calls.map(([text]) => text).join("");
  } finally {
    write.mockRestore();
  }
}

describe("columns", () => {
  it("are aligned, over all groups", () => {
    const groups = [
      [["a", "1"]],
      [
        ["long name", "2"],
        ["b", "3"],
      ],
    ] as const;
    expect(printed(() => printRows(groups))).toBe("a          1\n\nlong name  2\nb          3\n");
  });

  it("do not let a hostile text speak to the terminal", () => {
    const hostile = "\u001b[2Jwiped\r\n\u009b1A";
    const shown = [
      printed(() => printRows([[["substatus", hostile]]])),
      printed(() => printFacts({ substatus: hostile })),
    ];
    expect(shown).toEqual(Array.from({ length: 2 }, () => "substatus  ·[2Jwiped···1A\n"));
  });
});

it("a failure is one line of JSON for scripts, which may read events line by line", () => {
  vi.spyOn(process.stderr, "write").mockReturnValue(true);
  const failure = new MooringError("ERR_SERVICE_START", "cannot listen on port 8443");
  const out = printed(() => reportError(failure, { json: true, verbose: false }));
  vi.restoreAllMocks();
  expect(out.indexOf("\n")).toBe(out.length - 1);
  expect(JSON.parse(out)).toMatchObject({ error: { code: "ERR_SERVICE_START", exitCode: 69 } });
});
