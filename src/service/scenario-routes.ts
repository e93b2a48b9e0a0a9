// Scenarios in the management API: what the service does wrong on purpose, for everybody, for one enrollment, or for
// the devices of one group.

import { type EnrollmentKind, groupKind, individualKind } from "./enrollment-kind.ts";
import { findEnrollment } from "./enrollments.ts";
import type { OperatorApiOptions, OperatorRoute } from "./operator-api.ts";
import type { EnrollmentGroup, IndividualEnrollment } from "./records.ts";
import { Refusal } from "./refusal.ts";
import { readScenario, type Scenario } from "./scenario.ts";
import type { ScenarioTarget } from "./scenario-table.ts";
import type { Store } from "./store.ts";

/** Which target a path's id names. Throws 404201 when there is no such enrollment. */
type TargetOf = (id: string) => ScenarioTarget;

export function scenarioRoutes(route: OperatorRoute, { store, log }: OperatorApiOptions): void {
  route("GET", "/mooring/scenarios", "EnrollmentRead", () => viewScenarios(store));

  const add = (path: string, targetOf: TargetOf): void => {
    route("PUT", path, "EnrollmentWrite", ({ id, body }) => {
      const target = targetOf(id);
      const scenario = readScenario(body);
      store.transaction(() => store.scenarios.put({ target, scenario }));
      log.warn("scenario.set", { target, ...scenario });
      return scenario;
    });
    route("DELETE", path, "EnrollmentWrite", ({ id, reply }) => {
      const target = targetOf(id);
      if (!store.transaction(() => store.scenarios.delete(target))) {
        throw new Refusal(404000, `There is no scenario for ${target}.`);
      }
      log.warn("scenario.cleared", { target });
      return reply.code(204).send();
    });
  };
  add("/mooring/scenarios/service", () => "service");
  add("/mooring/scenarios/enrollments/:id", targetsOf(individualKind, store));
  add("/mooring/scenarios/enrollmentGroups/:id", targetsOf(groupKind, store));
}

const targetsOf =
  <Row extends IndividualEnrollment | EnrollmentGroup>(kind: EnrollmentKind<Row>, store: Store): TargetOf =>
  (id) =>
    `${kind.plural}/${kind.idOf(findEnrollment(kind, store, id))}`;

function viewScenarios(store: Store): Record<string, unknown> {
  const view = {
    service: null as Scenario | null,
    enrollments: {} as Record<string, Scenario>,
    enrollmentGroups: {} as Record<string, Scenario>,
  };
  for (const { target, scenario } of store.scenarios.all()) {
    if (target === "service") view.service = scenario;
    else {
      const [plural, id] = target.split("/") as ["enrollments" | "enrollmentGroups", string];
      view[plural][id] = scenario;
    }
  }
  return view;
}
