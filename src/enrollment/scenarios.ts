// What the local service does wrong on purpose, as its operator orders it.

import { MooringError } from "../errors.ts";
import type { Waiting } from "./client.ts";
import type { ServiceRequest } from "./exchange.ts";

export const scenarioKinds = [
  "throttle",
  "assigning",
  "assigning-forever",
  "duplicate",
  "late",
  "cut-after-202",
  "wrong-key",
  "malformed-json",
  "clock-skew",
  "disconnect",
] as const;

/** Numbers that are left out are the service's choice; answers have those that the kind needs. */
export interface Scenario {
  readonly kind: (typeof scenarioKinds)[number];
  readonly retryAfterSeconds?: number;
  readonly polls?: number;
  readonly delayMs?: number;
  readonly skewSeconds?: number;
  /** Ends by itself after so many uses. */
  readonly times?: number;
}

/** By registration id, and by the group's id. */
export interface ScenarioList {
  readonly service: Scenario | null;
  readonly enrollments: Readonly<Record<string, Scenario>>;
  readonly enrollmentGroups: Readonly<Record<string, Scenario>>;
}

export type ScenarioTarget =
  | { readonly of: "service" }
  | { readonly of: "enrollments" | "enrollmentGroups"; readonly id: string };

/** Throws as the calls of Management do. */
export interface Scenarios {
  list(options: Waiting): Promise<ScenarioList>;
  /** In place of the one before. */
  set(target: ScenarioTarget, scenario: Scenario, options: Waiting): Promise<Scenario>;
  /** False when there was none. */
  clear(target: ScenarioTarget, options: Waiting): Promise<boolean>;
}

/** Of a known enrollment; 404201 says that there is no such enrollment. */
const noScenario = 404_000;

export function scenarios(call: <Answer>(question: ServiceRequest) => Promise<Answer>): Scenarios {
  const pathOf = (target: ScenarioTarget): string =>
    `/mooring/scenarios/${target.of}${target.of === "service" ? "" : `/${encodeURIComponent(target.id)}`}`;
  return {
    list: ({ signal }) => call({ method: "GET", path: "/mooring/scenarios", signal }),
    set: (target, scenario, { signal }) =>
      call({ method: "PUT", path: pathOf(target), body: scenario, signal }),
    async clear(target, { signal }) {
      try {
        await call({ method: "DELETE", path: pathOf(target), signal });
        return true;
      } catch (error) {
        if (error instanceof MooringError && error.details.serviceErrorCode === noScenario) return false;
        throw error;
      }
    },
  };
}
