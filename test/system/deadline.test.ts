import { inspect } from "node:util";
import { describe, expect, it } from "vitest";
import { systemClock } from "../../src/system/clock.ts";
import { withDeadline } from "../../src/system/deadline.ts";
import { Secret } from "../../src/system/secret.ts";
import { thrownBy } from "../support/thrown.ts";

const tools = { clock: systemClock, signal: new AbortController().signal };

describe("withDeadline()", () => {
  it("returns what the attempt returns", async () => {
    expect(await withDeadline(10_000, tools, async ({ remainingMs }) => remainingMs() > 9_000)).toBe(true);
  });

  it("ends an attempt that takes too long with ERR_DEADLINE", async () => {
    const error = await thrownBy(() =>
      withDeadline(5, tools, ({ signal }) => systemClock.sleep(60_000, { signal })),
    );
    expect(error.code).toBe("ERR_DEADLINE");
  });

  it("passes the outer signal's reason on", async () => {
    const outer = new AbortController();
    const attempt = withDeadline(60_000, { ...tools, signal: outer.signal }, ({ signal }) =>
      systemClock.sleep(60_000, { signal }),
    );
    outer.abort(new RangeError("enough"));
    await expect(attempt).rejects.toBeInstanceOf(RangeError);
  });
});

describe("a Secret", () => {
  const secret = new Secret("hunter2");

  it("shows itself nowhere but where it is asked to", () => {
    for (const shown of [String(secret), JSON.stringify({ secret }), inspect({ secret }), `${secret}`]) {
      expect(shown).toContain("[secret]");
      expect(shown).not.toContain("hunter2");
    }
    expect(secret.reveal().toString()).toBe("hunter2");
  });

  it("is gone after wipe()", () => {
    const gone = new Secret("hunter2");
    gone.wipe();
    expect(gone.reveal().toString()).toBe("\0".repeat(7));
  });
});
