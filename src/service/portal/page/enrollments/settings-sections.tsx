// The settings of an enrollment: device, status, re-provisioning, initial twin.

import type { ComponentChildren, JSX } from "preact";
import { useId } from "preact/hooks";
import type { Draft, Reprovisioning } from "../data/draft.ts";
import type { EnrollmentKind } from "../data/kinds.ts";
import type { Mistakes } from "../data/mistakes.ts";
import { readTwin } from "../data/twin.ts";
import { FieldGroup } from "../parts/field.tsx";
import { Choices, Option, TextField } from "../parts/inputs.tsx";
import { JsonEditor } from "../parts/json-editor.tsx";

export interface SectionProps {
  readonly draft: Draft;
  readonly mistakes: Mistakes;
  readonly change: (change: Partial<Draft>) => void;
}

export function Section({
  title,
  children,
}: {
  readonly title: string;
  readonly children: ComponentChildren;
}): JSX.Element {
  const id = useId();
  return (
    <section class="card" aria-labelledby={id}>
      <h2 id={id}>{title}</h2>
      {children}
    </section>
  );
}

export function DeviceSection({
  kind,
  draft,
  mistakes,
  change,
}: SectionProps & { readonly kind: EnrollmentKind }): JSX.Element {
  const isGroup = kind.route === "groups";
  return (
    <Section title={isGroup ? "Devices" : "Device"}>
      {!isGroup && (
        <TextField
          label="Device id (optional)"
          name="deviceId"
          hint="The device's name at its hub. Without one it is named after its registration id."
          code
          value={draft.deviceId}
          mistake={mistakes.get("deviceId")}
          onValue={(deviceId) => change({ deviceId })}
        />
      )}
      <Option
        type="checkbox"
        name="provisioningStatus"
        checked={draft.enabled}
        onChecked={(enabled) => change({ enabled })}
        hint={
          isGroup
            ? "Devices of a disabled group are refused, also where a less specific group would let them in."
            : "The device of a disabled enrollment is refused, also where a group would let it in."
        }
      >
        Enabled
      </Option>
      <Option
        type="checkbox"
        name="capabilities.iotEdge"
        checked={draft.iotEdge}
        onChecked={(iotEdge) => change({ iotEdge })}
        hint={`Created in the hub as ${isGroup ? "IoT Edge devices" : "an IoT Edge device"}.`}
      >
        IoT Edge
      </Option>
    </Section>
  );
}

const reprovisionings: readonly { value: Reprovisioning; label: string; hint: string }[] = [
  {
    value: "migrate",
    label: "Re-provision and migrate data",
    hint: "A device that registers again and gets another hub takes its twin along.",
  },
  {
    value: "reset",
    label: "Re-provision and reset to initial config",
    hint: "It starts over with the initial twin of this enrollment.",
  },
  { value: "never", label: "Never re-provision", hint: "It stays at the hub it was first assigned to." },
];

export function ReprovisionSection({ draft, mistakes, change }: SectionProps): JSX.Element {
  return (
    <Section title="Re-provisioning">
      <FieldGroup
        label="When a device registers again"
        name="reprovisionPolicy"
        mistake={mistakes.get("reprovisionPolicy")}
      >
        <Choices
          name="reprovisionPolicy"
          value={draft.reprovisioning}
          choices={reprovisionings}
          onValue={(reprovisioning) => change({ reprovisioning })}
        />
      </FieldGroup>
    </Section>
  );
}

export function TwinSection({ draft, mistakes, change }: SectionProps): JSX.Element {
  const { mistake } = readTwin(draft.twin);
  const refused = mistakes.get("initialTwin");
  return (
    <Section title="Initial twin">
      <JsonEditor
        label="Tags and desired properties"
        name="initialTwin"
        hint="Written once, when a device is first assigned or reset."
        value={draft.twin}
        wrong={mistake ?? (refused ? { what: refused } : undefined)}
        onValue={(twin) => change({ twin })}
      />
    </Section>
  );
}
