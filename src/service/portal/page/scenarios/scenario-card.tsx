// The scenario of one enrollment, beside its settings.

import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { type ScenarioScope, scenarios, scenarioWords } from "../data/scenarios.ts";
import { useMay } from "../data/session.ts";
import { useStore } from "../data/store.ts";
import { Button } from "../parts/button.tsx";
import { Badge } from "../parts/status.tsx";
import { ClearScenario } from "./clear-scenario.tsx";
import { ScenarioDialog } from "./scenario-dialog.tsx";

export function ScenarioCard({
  scope,
}: {
  readonly scope: Exclude<ScenarioScope, { to: "service" }>;
}): JSX.Element {
  const mayWrite = useMay("EnrollmentWrite");
  const [setting, setSetting] = useState(false);
  const all = useStore(scenarios)?.[scope.to] ?? {};
  const [, scenario] = Object.entries(all).find(([id]) => id.toLowerCase() === scope.id.toLowerCase()) ?? [];
  return (
    <section class="card" aria-label="Scenario">
      <h2>Scenario</h2>
      {scenario ? (
        <p>
          <Badge tone="alarm">{scenarioWords(scenario)}</Badge>
        </p>
      ) : (
        <p class="hint">None. It is answered normally.</p>
      )}
      {mayWrite && (
        <div class="row">
          <Button onClick={() => setSetting(true)}>{scenario ? "Change…" : "Set…"}</Button>
          {scenario && <ClearScenario scope={scope} />}
        </div>
      )}
      {setting && <ScenarioDialog scope={scope} onClose={() => setSetting(false)} />}
    </section>
  );
}
