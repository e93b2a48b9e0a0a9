import { describe, expect, it } from "vitest";
import { type PlannedRequest, plan, readScenario, type Scenario } from "../../src/service/scenario.ts";

const requests = {
  "register over HTTPS": { transport: "https", operation: "register", attestation: "other", hasToken: true },
  "register over MQTT": { transport: "mqtt", operation: "register", attestation: "other", hasToken: true },
  "poll over HTTPS": { transport: "https", operation: "operation", attestation: "other", hasToken: true },
  "poll over MQTT-WS": { transport: "mqtt-ws", operation: "operation", attestation: "other", hasToken: true },
  "a TPM's first request": { transport: "https", operation: "register", attestation: "tpm", hasToken: false },
  "a TPM's second request": { transport: "https", operation: "register", attestation: "tpm", hasToken: true },
} as const satisfies Record<string, PlannedRequest>;

const untouched = undefined;

describe("a scenario", () => {
  it.each<[Scenario, Partial<Record<keyof typeof requests, unknown>>]>([
    [
      { kind: "throttle", retryAfterSeconds: 7 },
      {
        "register over HTTPS": { refuse: { throttledForSeconds: 7 } },
        "poll over MQTT-WS": { refuse: { throttledForSeconds: 7 } },
        "a TPM's first request": { refuse: { throttledForSeconds: 7 } },
      },
    ],
    [
      { kind: "assigning", polls: 2 },
      {
        "register over HTTPS": { holdForPolls: 2 },
        "register over MQTT": { holdForPolls: 2 },
        "poll over HTTPS": untouched,
      },
    ],
    [
      { kind: "assigning-forever" },
      { "register over MQTT": { holdForPolls: Infinity }, "poll over MQTT-WS": untouched },
    ],
    [
      { kind: "duplicate" },
      {
        "register over HTTPS": { repeatOperation: true },
        "poll over HTTPS": untouched,
        "register over MQTT": { delivery: { twice: true } },
        "poll over MQTT-WS": { delivery: { twice: true } },
      },
    ],
    [
      { kind: "late", delayMs: 50 },
      {
        "register over HTTPS": { delivery: { delayMs: 50 } },
        "poll over MQTT-WS": { delivery: { delayMs: 50 } },
      },
    ],
    [
      { kind: "cut-after-202" },
      {
        "register over MQTT": { holdForPolls: 0, delivery: { close: "after" } },
        "poll over HTTPS": untouched,
      },
    ],
    [
      { kind: "wrong-key" },
      {
        "register over HTTPS": { refuse: "credential" },
        "poll over MQTT-WS": { refuse: "credential" },
        "a TPM's first request": { spoilChallenge: true },
        "a TPM's second request": untouched,
      },
    ],
    [
      { kind: "malformed-json" },
      {
        "register over HTTPS": { delivery: { malformed: true } },
        "poll over MQTT-WS": { delivery: { malformed: true } },
      },
    ],
    [
      { kind: "clock-skew", skewSeconds: -60 },
      {
        "register over HTTPS": { clockSkewMs: -60_000, delivery: { dateSkewMs: -60_000 } },
        "register over MQTT": { clockSkewMs: -60_000 },
      },
    ],
    [
      { kind: "disconnect" },
      {
        "register over HTTPS": { refuse: "silently" },
        "poll over HTTPS": untouched,
        "register over MQTT": untouched,
      },
    ],
  ])("plans %j", (scenario, expected) => {
    for (const [what, planned] of Object.entries(expected)) {
      expect(plan(scenario, requests[what as keyof typeof requests]), what).toEqual(planned);
    }
  });
});

describe("what an operator orders", () => {
  it.each([
    [{ kind: "throttle" }, { kind: "throttle", retryAfterSeconds: 10 }],
    [{ kind: "assigning" }, { kind: "assigning", polls: 3 }],
    [{ kind: "late" }, { kind: "late", delayMs: 10_000 }],
    [{ kind: "clock-skew" }, { kind: "clock-skew", skewSeconds: 86_400 }],
    [
      { kind: "disconnect", times: 2 },
      { kind: "disconnect", times: 2 },
    ],
  ])("is completed: %j", (ordered, complete) => {
    expect(readScenario(ordered)).toEqual(complete);
  });

  it.each<[unknown, string]>([
    [undefined, "body: Invalid type"],
    [[], "kind: Invalid type"],
    ["throttle", "body: Invalid type"],
    [{}, "kind: Invalid type"],
    [{ kind: "explode" }, "kind: Invalid type"],
    [{ kind: "throttle", retryAfter: 3 }, "retryAfter"],
    [{ kind: "late", polls: 3 }, "polls"],
    [{ kind: "throttle", retryAfterSeconds: "3" }, "retryAfterSeconds: Invalid type"],
    [{ kind: "assigning", polls: 0 }, "polls: less than 1"],
    [{ kind: "late", delayMs: 1.5 }, "delayMs: not a whole number"],
    [{ kind: "late", delayMs: 1e9 }, "delayMs: more than 600000"],
    [{ kind: "clock-skew", skewSeconds: 1e12 }, "skewSeconds: more than"],
    [{ kind: "duplicate", times: 0 }, "times: less than 1"],
  ])("is refused with words: %j", (ordered, words) => {
    expect(() => readScenario(ordered)).toThrow(
      expect.objectContaining({
        name: "Refusal",
        errorCode: 400000,
        message: expect.stringContaining(words),
      }),
    );
  });
});
