// Which scenarios are active, and what there is to set.

import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { hrefOf } from "../data/route.ts";
import { scenarioKinds } from "../data/scenario-kinds.ts";
import {
  type ActiveScenario,
  activeScenarios,
  type ScenarioScope,
  scenarios,
  scenarioWords,
} from "../data/scenarios.ts";
import { useMay } from "../data/session.ts";
import { useStore } from "../data/store.ts";
import { Button } from "../parts/button.tsx";
import { Empty } from "../parts/empty.tsx";
import { PageTitle } from "../parts/page-title.tsx";
import { Badge } from "../parts/status.tsx";
import { type Column, Table } from "../parts/table.tsx";
import { ClearScenario } from "./clear-scenario.tsx";
import { ScenarioDialog } from "./scenario-dialog.tsx";

const columns: readonly Column<ActiveScenario>[] = [
  { title: "For", cell: ({ scope }) => <Scope scope={scope} /> },
  { title: "Scenario", cell: ({ scenario }) => <Badge tone="alarm">{scenarioWords(scenario)}</Badge> },
  {
    title: "Effect",
    cell: ({ scenario }) => scenarioKinds.find(({ name }) => name === scenario.kind)?.effect,
  },
  {
    title: "Actions",
    kind: "row-actions",
    cell: ({ scope }) => <ClearScenario scope={scope} look="quiet" />,
  },
];

export function ScenarioList(): JSX.Element {
  const mayWrite = useMay("EnrollmentWrite");
  const [setting, setSetting] = useState(false);
  const active = activeScenarios(useStore(scenarios));
  return (
    <>
      <PageTitle title="Scenarios">
        {mayWrite && (
          <Button look="danger" onClick={() => setSetting(true)}>
            Set scenario…
          </Button>
        )}
      </PageTitle>
      <p class="lead">
        A scenario makes this service misbehave on purpose, so that you can see how a device copes. Nothing on
        the device has to change, and nothing happens until a scenario is set.
      </p>
      {active.length > 0 ? (
        <Table
          caption="Active scenarios"
          columns={columns}
          rows={active}
          keyOf={({ scope }) => (scope.to === "service" ? "service" : `${scope.to}/${scope.id}`)}
        />
      ) : (
        <Empty title="No scenario is active">
          <p>Every device is answered normally.</p>
        </Empty>
      )}
      <section class="card" aria-labelledby="available">
        <h2 id="available">Available scenarios</h2>
        <dl class="facts wide">
          {scenarioKinds.map(({ name, title, effect }) => (
            <div key={name}>
              <dt>{title}</dt>
              <dd>{effect}</dd>
            </div>
          ))}
        </dl>
      </section>
      {setting && <ScenarioDialog onClose={() => setSetting(false)} />}
    </>
  );
}

function Scope({ scope }: { readonly scope: ScenarioScope }): JSX.Element {
  if (scope.to === "service") return <strong>Every device</strong>;
  const isGroup = scope.to === "enrollmentGroups";
  return (
    <>
      <a class="name" href={hrefOf([isGroup ? "groups" : "enrollments", scope.id])}>
        {scope.id}
      </a>
      <span class="beside">{isGroup ? "group" : "individual"}</span>
    </>
  );
}
