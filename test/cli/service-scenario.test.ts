import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import type { RunningService } from "../../src/service/service.ts";
import { directoryOfFile } from "../service/sockets.ts";
import { commandLine, type Said } from "../support/command-line.ts";
import { startServiceHere } from "../support/service-in-process.ts";

const dataDirectory = directoryOfFile();
let service: RunningService;

const mooring = (...args: string[]): Promise<Said> =>
  commandLine(...args, "--service-file", service.connectionStringFile, "--ca-file", service.caFile);
const scenario = (...args: string[]): Promise<Said> => mooring("service", "scenario", ...args);

beforeAll(async () => {
  service = await startServiceHere(dataDirectory);
  await mooring("enrollment", "create", "--registration-id", "gw-1", "--symmetric-key");
  await mooring("enrollment-group", "create", "--group-id", "site", "--symmetric-key");
});
afterAll(() => service.stop());
afterEach(() => scenario("clear", "--all"));

describe("mooring service scenario", () => {
  it("sets, shows and clears what is on, for whom", async () => {
    expect((await scenario("show")).out).toBe("no scenario is on\n");
    const throttle = await scenario(
      "set",
      "throttle",
      "--retry-after",
      "5",
      "--times",
      "2",
      "--enrollment",
      "gw-1",
    );
    expect(throttle).toMatchObject({
      code: 0,
      out: "throttle, Retry-After 5 s, 2 times, for enrollment gw-1\n",
    });
    expect((await scenario("set", "late", "--enrollment-group", "site")).out).toBe(
      "late, 10000 ms, for enrollment group site\n",
    );
    expect((await scenario("set", "clock-skew", "--skew", "-3600", "--times", "1")).out).toBe(
      "clock-skew, -3600 s, once, for everybody\n",
    );
    const shown = await scenario("show");
    expect(shown.out).toMatch(/^everybody +clock-skew, -3600 s, once$/m);
    expect(shown.out).toMatch(/^enrollment gw-1 +throttle, Retry-After 5 s, 2 times$/m);
    expect((await scenario("show", "--json")).json()).toEqual({
      service: { kind: "clock-skew", skewSeconds: -3600, times: 1 },
      enrollments: { "gw-1": { kind: "throttle", retryAfterSeconds: 5, times: 2 } },
      enrollmentGroups: { site: { kind: "late", delayMs: 10_000 } },
    });
    expect((await scenario("clear", "--enrollment", "gw-1")).out).toBe("cleared for enrollment gw-1\n");
    expect((await scenario("clear", "--enrollment", "gw-1")).out).toBe("there was none\n");
    expect((await scenario("clear", "--all", "--json")).json()).toEqual({
      cleared: ["everybody", "enrollment group site"],
    });
    expect((await scenario("show")).out).toBe("no scenario is on\n");
  });

  it.each([
    [["set", "explode"], 64, "ERR_USAGE"],
    [["set"], 64, "ERR_USAGE"],
    [["set", "throttle", "--polls", "3"], 64, "--polls is for the scenario assigning, and not for throttle"],
    [["set", "throttle", "--times", "0"], 64, "whole number from 1"],
    [["set", "clock-skew", "--skew", "soon"], 64, "whole number of seconds"],
    [["set", "late", "--enrollment", "a", "--enrollment-group", "b"], 64, "cannot be used with"],
    [["set", "late", "--enrollment", "nobody"], 66, "Enrollment not found"],
    [["clear", "--enrollment", "nobody"], 66, "Enrollment not found"],
    [["set", "clock-skew", "--skew", "999999999"], 65, "skewSeconds: more than"],
  ])("refuses with words: %j", async (args, code, words) => {
    const said = await scenario(...args);
    expect(said.code).toBe(code);
    expect(said.err).toContain(words);
    expect((await scenario("show", "--json")).json()).toMatchObject({ service: null, enrollments: {} });
  });

  it("explains every kind", async () => {
    const { out } = await commandLine("service", "scenario", "set", "--help");
    const { scenarioKinds } = await import("../../src/enrollment/scenarios.ts");
    for (const kind of scenarioKinds) expect(out).toMatch(new RegExp(`^  ${kind} {2,}\\S`, "m"));
  });
});
