// Makes the service behave again.

import type { JSX } from "preact";
import { asFailure } from "../data/call.ts";
import { clearScenario, refreshScenarios, type ScenarioScope } from "../data/scenarios.ts";
import { useMay } from "../data/session.ts";
import { useTask } from "../data/task.ts";
import { Button } from "../parts/button.tsx";
import { notify } from "../parts/notices.tsx";

interface ClearScenarioProps {
  readonly scope: ScenarioScope;
  readonly look?: "plain" | "quiet";
}

export function ClearScenario({ scope, look = "plain" }: ClearScenarioProps): JSX.Element | null {
  const { busy, run } = useTask();
  if (!useMay("EnrollmentWrite")) return null;
  const clear = (): Promise<void> =>
    run(async () => {
      try {
        await clearScenario(scope);
        await refreshScenarios();
        notify("The scenario is cleared.");
      } catch (error) {
        notify(`The scenario was not cleared: ${asFailure(error).message}`);
      }
    });
  const whose = scope.to === "service" ? "every device" : scope.id;
  return (
    <Button look={look} busy={busy} label={`Clear the scenario for ${whose}`} onClick={clear}>
      {busy ? "Clearing…" : "Clear"}
    </Button>
  );
}
