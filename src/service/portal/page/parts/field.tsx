// A control with its label, its hint, and what is wrong with it, tied together for screen readers.

import type { ComponentChildren, JSX } from "preact";
import { useId } from "preact/hooks";
import { Icon } from "./icon.tsx";

export interface FieldProps {
  readonly label: string;
  /** As the service calls it: what it complains about is shown here. */
  readonly name: string;
  readonly hint?: ComponentChildren;
  readonly mistake?: string | undefined;
}

/** What the control inside needs to belong to its label. */
export interface ControlProps {
  readonly id: string;
  readonly name: string;
  readonly "aria-describedby": string | undefined;
  readonly "aria-invalid": boolean | undefined;
}

export function Field({
  label,
  name,
  hint,
  mistake,
  children,
}: FieldProps & { readonly children: (control: ControlProps) => ComponentChildren }): JSX.Element {
  const id = useId();
  const described = [hint ? `${id}-hint` : "", mistake ? `${id}-mistake` : ""].filter(Boolean).join(" ");
  return (
    <div class={mistake ? "field wrong" : "field"}>
      <label for={id}>{label}</label>
      {children({
        id,
        name,
        "aria-describedby": described || undefined,
        "aria-invalid": mistake ? true : undefined,
      })}
      {mistake && <Mistake id={`${id}-mistake`} text={mistake} />}
      {hint && (
        <p class="hint" id={`${id}-hint`}>
          {hint}
        </p>
      )}
    </div>
  );
}

/** Several controls under one heading. */
export function FieldGroup({
  label,
  name,
  hint,
  mistake,
  children,
}: FieldProps & { readonly children: ComponentChildren }): JSX.Element {
  const id = useId();
  return (
    <fieldset
      class={mistake ? "field wrong" : "field"}
      name={name}
      tabIndex={-1}
      aria-describedby={mistake ? `${id}-mistake` : undefined}
      aria-invalid={mistake ? true : undefined}
    >
      <legend>{label}</legend>
      {hint && <p class="hint">{hint}</p>}
      {children}
      {mistake && <Mistake id={`${id}-mistake`} text={mistake} />}
    </fieldset>
  );
}

const Mistake = ({ id, text }: { id: string; text: string }): JSX.Element => (
  <p class="mistake" id={id}>
    <Icon name="warning" /> {text}
  </p>
);
