// States in words, with a colour that only repeats what the word says.

import type { ComponentChildren, JSX } from "preact";
import type { RegistrationRecord } from "../data/records.ts";

export type Tone = "good" | "bad" | "off" | "busy" | "alarm";

export const Badge = ({
  tone,
  children,
}: {
  readonly tone: Tone;
  readonly children: ComponentChildren;
}): JSX.Element => <span class={`badge ${tone}`}>{children}</span>;

const tones: Record<RegistrationRecord["status"], Tone> = {
  assigned: "good",
  assigning: "busy",
  unassigned: "off",
  disabled: "off",
  failed: "bad",
};

export const RegistrationStatus = ({ status }: Pick<RegistrationRecord, "status">): JSX.Element => (
  <Badge tone={tones[status]}>{status}</Badge>
);

export const EnrollmentStatus = ({ enabled }: { readonly enabled: boolean }): JSX.Element => (
  <Badge tone={enabled ? "good" : "off"}>{enabled ? "enabled" : "disabled"}</Badge>
);
