// To which hubs the devices of an enrollment go, and who decides.

import type { JSX } from "preact";
import type { AllocationPolicy, Hub } from "../data/records.ts";
import { FieldGroup } from "../parts/field.tsx";
import { Choices, TextField } from "../parts/inputs.tsx";
import { HubChoice } from "./hub-choice.tsx";
import { Section, type SectionProps } from "./settings-sections.tsx";

const policies: readonly { value: AllocationPolicy; label: string; hint: string }[] = [
  {
    value: "hashed",
    label: "Evenly weighted distribution",
    hint: "Devices are spread over the hubs by weight.",
  },
  { value: "geoLatency", label: "Lowest latency", hint: "The hub with the lowest declared latency." },
  { value: "static", label: "Static configuration", hint: "The one hub chosen here." },
  { value: "custom", label: "Custom", hint: "Your webhook decides." },
];

export function HubSection({
  draft,
  mistakes,
  change,
  linked,
}: SectionProps & { readonly linked: readonly Hub[] }): JSX.Element {
  const choosePolicy = (allocation: AllocationPolicy): void =>
    change({ allocation, ...(allocation === "static" && { hubs: draft.hubs.slice(0, 1) }) });
  return (
    <Section title="Hubs">
      <FieldGroup
        label="How devices are assigned to hubs"
        name="allocationPolicy"
        mistake={mistakes.get("allocationPolicy")}
      >
        <Choices name="allocationPolicy" value={draft.allocation} choices={policies} onValue={choosePolicy} />
      </FieldGroup>
      {draft.allocation === "custom" && (
        <TextField
          label="Webhook URL"
          name="customAllocationDefinition.webhookUrl"
          type="url"
          code
          placeholder="https://functions.example/api/allocate"
          hint="Called over HTTPS with the enrollment, the device and the linked hubs; it answers with one of the hubs."
          value={draft.webhookUrl}
          mistake={mistakes.get("customAllocationDefinition.webhookUrl")}
          onValue={(webhookUrl) => change({ webhookUrl })}
        />
      )}
      <HubChoice
        linked={linked}
        chosen={draft.hubs}
        onlyOne={draft.allocation === "static"}
        mistake={mistakes.get("iotHubs")}
        onChosen={(hubs) => change({ hubs })}
      />
    </Section>
  );
}
