import { describe, expect, it } from "vitest";
import { patient } from "../../src/enrollment/patience.ts";
import { type ErrorCode, type ErrorDetails, MooringError } from "../../src/errors.ts";
import { thrownBy } from "../support/thrown.ts";
import { virtualClock } from "../support/virtual-clock.ts";

const failure = (code: ErrorCode, details: ErrorDetails = {}): MooringError =>
  new MooringError(code, "as if", details);

function asked(...outcomes: readonly (MooringError | string)[]) {
  const clock = virtualClock();
  const stop = new AbortController();
  const left = [...outcomes];
  const ask = patient(
    async (_question: string) => {
      const outcome = left.length > 1 ? left.shift() : left[0];
      if (outcome instanceof MooringError) throw outcome;
      return outcome;
    },
    { clock, signal: stop.signal, random: () => 0.5 },
  );
  return { ask, clock, stop };
}

describe("patience with a busy service", () => {
  it("waits no shorter than it is asked to, and longer each time", async () => {
    const busy = failure("ERR_THROTTLED", { status: 429, retryAfterMs: 3000 });
    const { ask, clock } = asked(busy, busy, busy, "done");
    expect(await ask("x")).toBe("done");
    expect(clock.sleptMs).toEqual([3250, 3500, 4000]);
  });

  it("bears a line that breaks, once the service has answered", async () => {
    const { ask, clock } = asked("first", failure("ERR_CONNECTION_LOST"), "second");
    expect([await ask("x"), await ask("x")]).toEqual(["first", "second"]);
    expect(clock.sleptMs).toHaveLength(1);
  });

  it("does not wait for a service that never answered", async () => {
    const { ask, clock } = asked(failure("ERR_CONNECT"), "late");
    expect((await thrownBy(() => ask("x"))).code).toBe("ERR_CONNECT");
    expect(clock.sleptMs).toEqual([]);
  });

  it("ends, after minutes", async () => {
    const { ask, clock } = asked(failure("ERR_SERVICE_UNAVAILABLE", { status: 503 }));
    expect((await thrownBy(() => ask("x"))).code).toBe("ERR_SERVICE_UNAVAILABLE");
    const waited = clock.sleptMs.reduce((sum, ms) => sum + ms, 0);
    expect(waited).toBeGreaterThan(3 * 60_000);
    expect(waited).toBeLessThan(15 * 60_000);
  });

  it("has none for what does not pass", async () => {
    const { ask, clock } = asked(failure("ERR_UNAUTHORIZED", { status: 401 }), "never");
    expect((await thrownBy(() => ask("x"))).code).toBe("ERR_UNAUTHORIZED");
    expect(clock.sleptMs).toEqual([]);
  });
});
