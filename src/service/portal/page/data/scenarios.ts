// Scenarios make the service misbehave on purpose, so that devices can be tested: which are active, for whom, and how
// they are set and cleared.

import { call } from "./call.ts";
import { scenarioKinds } from "./scenario-kinds.ts";
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
