// Makes the service misbehave on purpose, for everybody or for one enrollment.

import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { scenarioKinds } from "../data/scenario-kinds.ts";
import { refreshScenarios, type Scenario, type ScenarioScope, setScenario } from "../data/scenarios.ts";
import { useTask, withRefusal } from "../data/task.ts";
import { Button } from "../parts/button.tsx";
import { Actions, Dialog } from "../parts/dialog.tsx";
import { FailureNotice } from "../parts/failure-notice.tsx";
import { Field, FieldGroup } from "../parts/field.tsx";
import { Choices, TextField } from "../parts/inputs.tsx";
import { notify } from "../parts/notices.tsx";

interface ScenarioDialogProps {
  /** Absent: it is asked for. */
  readonly scope?: ScenarioScope;
  readonly onClose: () => void;
}

export function ScenarioDialog({ scope, onClose }: ScenarioDialogProps): JSX.Element {
  const [to, setTo] = useState<ScenarioScope["to"]>(scope?.to ?? "service");
  const [id, setId] = useState("");
  const [name, setName] = useState(scenarioKinds[0]?.name ?? "");
  const kind = scenarioKinds.find((each) => each.name === name);
  const number = kind?.number;
  const [amount, setAmount] = useState(String(number?.initial ?? ""));
  const [times, setTimes] = useState("");
  const [found, setFound] = useState<ReadonlyMap<string, string>>(new Map());
  const { busy, failure, run } = useTask();
  const mistakes = withRefusal(found, failure);

  const choose = (next: string): void => {
    setName(next);
    setAmount(String(scenarioKinds.find((each) => each.name === next)?.number?.initial ?? ""));
    setFound(new Map());
  };

  const set = async (): Promise<void> => {
    const found = new Map<string, string>();
    if (!scope && to !== "service" && id.trim() === "") found.set("id", "Enter the name of the enrollment.");
    if (number && !isWithin(amount, number))
      found.set(
        number.name,
        `A whole number from ${number.least.toLocaleString()} to ${number.most.toLocaleString()}.`,
      );
    if (times !== "" && !isWithin(times, { least: 1, most: 1_000_000 }))
      found.set("times", "A whole number, or nothing.");
    setFound(found);
    if (found.size > 0) return;
    await run(async () => {
      const scenario: Scenario = {
        kind: name,
        ...(number && { [number.name]: Number(amount) }),
        ...(times !== "" && { times: Number(times) }),
      };
      await setScenario(scope ?? (to === "service" ? { to } : { to, id: id.trim() }), scenario);
      await refreshScenarios();
      notify("The scenario is active.");
      onClose();
    });
  };

  return (
    <Dialog
      title={scope && scope.to !== "service" ? `Scenario for ${scope.id}` : "Set a scenario"}
      onClose={onClose}
      onSubmit={set}
    >
      {!scope && (
        <FieldGroup label="For whom" name="to">
          <Choices<ScenarioScope["to"]>
            name="to"
            value={to}
            onValue={setTo}
            choices={[
              { value: "service", label: "Every device" },
              { value: "enrollments", label: "One individual enrollment" },
              { value: "enrollmentGroups", label: "One enrollment group" },
            ]}
          />
        </FieldGroup>
      )}
      {!scope && to !== "service" && (
        <TextField
          label={to === "enrollments" ? "Registration id" : "Group name"}
          name="id"
          code
          value={id}
          mistake={mistakes.get("id")}
          onValue={setId}
        />
      )}
      <Field label="Scenario" name="kind" hint={kind?.effect} mistake={mistakes.get("kind")}>
        {(control) => (
          <select {...control} value={name} onChange={(event) => choose(event.currentTarget.value)}>
            {scenarioKinds.map((each) => (
              <option key={each.name} value={each.name}>
                {each.title}
              </option>
            ))}
          </select>
        )}
      </Field>
      {number && (
        <TextField
          key={number.name}
          label={number.label}
          name={number.name}
          type="number"
          unit={number.unit}
          value={amount}
          mistake={mistakes.get(number.name)}
          onValue={setAmount}
        />
      )}
      <TextField
        label="Ends after (optional)"
        name="times"
        type="number"
        unit="uses"
        hint="Without a number it lasts until it is cleared."
        value={times}
        mistake={mistakes.get("times")}
        onValue={setTimes}
      />
      {failure && <FailureNotice failure={failure} title="The scenario was not set" />}
      <Actions>
        <Button onClick={onClose}>Cancel</Button>
        <Button type="submit" look="danger" busy={busy}>
          {busy ? "Setting…" : "Set scenario"}
        </Button>
      </Actions>
    </Dialog>
  );
}

const isWithin = (
  text: string,
  { least, most }: { readonly least: number; readonly most: number },
): boolean => /^-?\d+$/.test(text.trim()) && Number(text) >= least && Number(text) <= most;
