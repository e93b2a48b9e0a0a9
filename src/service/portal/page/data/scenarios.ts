// Scenarios make the service misbehave on purpose, so that devices can be tested. What they are called, what each of
// them does, and which numbers it takes.

import { call } from "./call.ts";
import { createStore } from "./store.ts";

export interface Scenario {
  readonly kind: string;
  readonly times?: number;
  readonly [number: string]: string | number | undefined;
}

export interface Scenarios {
  readonly service: Scenario | null;
  readonly enrollments: Readonly<Record<string, Scenario>>;
  readonly enrollmentGroups: Readonly<Record<string, Scenario>>;
}

export interface ScenarioKind {
  readonly name: string;
  readonly title: string;
  readonly effect: string;
  readonly number?: {
    readonly name: string;
    readonly label: string;
    readonly unit: string;
    readonly initial: number;
    readonly least: number;
    readonly most: number;
  };
}

export const scenarioKinds: readonly ScenarioKind[] = [
  {
    name: "throttle",
    title: "Throttle",
    effect: "Every request is answered with 429 and this Retry-After.",
    number: {
      name: "retryAfterSeconds",
      label: "Retry-After",
      unit: "seconds",
      initial: 10,
      least: 0,
      most: 86_400,
    },
  },
  {
    name: "assigning",
    title: "Slow assignment",
    effect: "The device is told to keep polling before it is assigned.",
    number: {
      name: "polls",
      label: "Polls until assigned",
      unit: "polls",
      initial: 3,
      least: 1,
      most: 10_000,
    },
  },
  {
    name: "assigning-forever",
    title: "Never assigned",
    effect: "Every poll says assigning; the device has to give up by itself.",
  },
  {
    name: "duplicate",
    title: "Duplicate answers",
    effect:
      "Over MQTT each answer comes twice; over HTTPS a second registration gets the operation of the first.",
  },
  {
    name: "late",
    title: "Late answers",
    effect: "Answers are held back.",
    number: {
      name: "delayMs",
      label: "Delay",
      unit: "milliseconds",
      initial: 10_000,
      least: 1,
      most: 600_000,
    },
  },
  {
    name: "cut-after-202",
    title: "Cut after 202",
    effect: "The connection is cut as soon as the registration was accepted.",
  },
  {
    name: "wrong-key",
    title: "Wrong key",
    effect: "A TPM gets a challenge that it cannot open; other devices are refused.",
  },
  {
    name: "malformed-json",
    title: "Malformed JSON",
    effect: "Answers break off in the middle.",
  },
  {
    name: "clock-skew",
    title: "Clock skew",
    effect: "The service's clock is off, and with it the Date header and the judgement of tokens.",
    number: {
      name: "skewSeconds",
      label: "Skew",
      unit: "seconds",
      initial: 86_400,
      least: -316_224_000,
      most: 316_224_000,
    },
  },
  {
    name: "disconnect",
    title: "Disconnect",
    effect: "MQTT ends at CONNECT, HTTPS in place of an answer to the registration.",
  },
];

/** What an active scenario says of itself, in a few words. */
export function scenarioWords(scenario: Scenario): string {
  const kind = scenarioKinds.find(({ name }) => name === scenario.kind);
  const title = kind?.title ?? scenario.kind;
  const value = kind?.number ? scenario[kind.number.name] : undefined;
  const amount = kind?.number && value !== undefined ? `, ${value} ${kind.number.unit}` : "";
  const rest =
    scenario.times === undefined ? "" : `, ${scenario.times} more ${scenario.times === 1 ? "time" : "times"}`;
  return `${title}${amount}${rest}`;
}

/** To whom it applies. */
export type ScenarioScope =
  | { readonly to: "service" }
  | { readonly to: "enrollments" | "enrollmentGroups"; readonly id: string };

const pathOf = (scope: ScenarioScope): string =>
  `/mooring/scenarios/${scope.to}${scope.to === "service" ? "" : `/${encodeURIComponent(scope.id)}`}`;

export const setScenario = (scope: ScenarioScope, scenario: Scenario): Promise<void> =>
  call("PUT", pathOf(scope), { body: scenario });

export const clearScenario = (scope: ScenarioScope): Promise<void> => call("DELETE", pathOf(scope));

/** The active ones: every view warns of them. `undefined` until they are known. */
export const scenarios = createStore<Scenarios | undefined>(undefined);

export async function refreshScenarios(signal?: AbortSignal): Promise<void> {
  scenarios.set(await call("GET", "/mooring/scenarios", signal ? { signal } : {}));
}

export interface ActiveScenario {
  readonly scope: ScenarioScope;
  readonly scenario: Scenario;
}

export function activeScenarios(all: Scenarios | undefined): readonly ActiveScenario[] {
  if (!all) return [];
  const of = (to: "enrollments" | "enrollmentGroups"): ActiveScenario[] =>
    Object.entries(all[to]).map(([id, scenario]) => ({ scope: { to, id }, scenario }));
  const service: ActiveScenario[] = all.service ? [{ scope: { to: "service" }, scenario: all.service }] : [];
  return [...service, ...of("enrollmentGroups"), ...of("enrollments")];
}
