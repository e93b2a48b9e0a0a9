// To which hubs a device may be assigned: exactly one under the static policy, else any number, none meaning all.

import type { JSX } from "preact";
import type { Hub } from "../data/records.ts";
import { FieldGroup } from "../parts/field.tsx";
import { Option } from "../parts/inputs.tsx";

interface HubChoiceProps {
  readonly linked: readonly Hub[];
  readonly chosen: readonly string[];
  readonly onlyOne: boolean;
  readonly onChosen: (hubs: readonly string[]) => void;
  readonly mistake?: string | undefined;
}

export function HubChoice({ linked, chosen, onlyOne, onChosen, mistake }: HubChoiceProps): JSX.Element {
  const names = [...new Set([...linked.map(({ hostName }) => hostName), ...chosen])];
  const choose = (name: string, checked: boolean): void => {
    if (onlyOne) onChosen([name]);
    else onChosen(names.filter((each) => (each === name ? checked : chosen.includes(each))));
  };
  return (
    <FieldGroup
      label={onlyOne ? "Hub" : "Hubs"}
      name="iotHubs"
      hint={onlyOne ? undefined : "Choose none to use every linked hub, also those that are linked later."}
      mistake={mistake}
    >
      {names.length === 0 && <p class="hint">No hub is linked to this service yet. Link one under Hubs.</p>}
      <div class="choices hubs">
        {names.map((name) => {
          const hub = linked.find(({ hostName }) => hostName === name);
          return (
            <Option
              key={name}
              type={onlyOne ? "radio" : "checkbox"}
              name="iotHubs"
              checked={chosen.includes(name)}
              onChecked={(checked) => choose(name, checked)}
              {...(!hub && { hint: "not linked to this service" })}
            >
              {name}
            </Option>
          );
        })}
      </div>
    </FieldGroup>
  );
}
