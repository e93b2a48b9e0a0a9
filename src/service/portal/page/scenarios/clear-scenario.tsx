// Makes the service behave again.

import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { asFailure } from "../data/call.ts";
import { clearScenario, refreshScenarios, type ScenarioScope } from "../data/scenarios.ts";
import { useMay } from "../data/session.ts";
import { Button } from "../parts/button.tsx";
import { notify } from "../parts/notices.tsx";

interface ClearScenarioProps {
  readonly scope: ScenarioScope;
  readonly look?: "plain" | "quiet";
}

export function ClearScenario({ scope, look = "plain" }: ClearScenarioProps): JSX.Element | null {
  const [busy, setBusy] = useState(false);
  if (!useMay("EnrollmentWrite")) return null;
  const clear = async (): Promise<void> => {
    setBusy(true);
    try {
      await clearScenario(scope);
      await refreshScenarios();
      notify("The scenario is cleared.");
    } catch (error) {
      notify(`The scenario was not cleared: ${asFailure(error).message}`);
    }
    setBusy(false);
  };
  const whose = scope.to === "service" ? "every device" : scope.id;
  return (
    <Button look={look} busy={busy} label={`Clear the scenario for ${whose}`} onClick={clear}>
      {busy ? "Clearing…" : "Clear"}
    </Button>
  );
}
