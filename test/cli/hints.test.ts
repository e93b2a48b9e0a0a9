// What a failure tells people to do next can be done: every command in a hint is there, with the options it is given.

import { describe, expect, it, vi } from "vitest";
import { run } from "../../src/cli/program.ts";
import { errorTable } from "../../src/errors.ts";

/** `mooring …` in the hints, as words, without what the shell would do with the output. */
const commands = [
  ...new Set(
    Object.values(errorTable).flatMap(({ hint }) =>
      [...hint.matchAll(/`mooring ([^`>]+)/g)].map(([, words = ""]) => words.trim()),
    ),
  ),
].filter((words) => !words.includes("COMMAND"));

/** What is wrong with a command, as far as its help tells. */
async function wrongWith(words: string): Promise<string | undefined> {
  const given = words.split(" ");
  const end = given.findIndex((word) => !/^[a-z][a-z-]*$/.test(word));
  const path = end < 0 ? given : given.slice(0, end);
  const options = given.filter((word) => word.startsWith("--"));
  let help = "";
  const spies = [process.stdout, process.stderr].map((stream) =>
    vi.spyOn(stream, "write").mockImplementation((text) => {
      help += String(text);
      return true;
    }),
  );
  try {
    if ((await run(["node", "mooring", ...path, "--help"])) !== 0) return help;
  } finally {
    for (const spy of spies) spy.mockRestore();
  }
  if (!help.includes(`Usage: ${["mooring", ...path].join(" ")} `))
    return `there is no \`mooring ${path.join(" ")}\``;
  return options.map((option) => (help.includes(option) ? undefined : `there is no ${option}`)).find(Boolean);
}

describe("the hints of the error table", () => {
  it("advise to remove from the TPM nothing but what is at the hub key's handle", () => {
    const { hint } = errorTable.ERR_TPM_HANDLE_OCCUPIED;
    expect(hint).toMatch(/hub_key_handle; only what is at that one.* may be removed: `tpm2_evictcontrol/);
    const others = Object.values(errorTable).filter((row) => row.hint !== hint);
    expect(others.filter((row) => row.hint.includes("tpm2_evictcontrol"))).toEqual([]);
  });

  it("name commands at all", () => {
    expect(commands.length).toBeGreaterThan(8);
  });

  it.each(commands)("name a command that is there: mooring %s", async (words) => {
    expect(await wrongWith(words)).toBe(undefined);
  });

  it.each(["frobnicate", "identity frobnicate", "enrollment update ID --frobnicate"])(
    "would be seen to name one that is not: mooring %s",
    async (words) => {
      expect(await wrongWith(words)).not.toBe(undefined);
    },
  );
});
