// One-line texts, choices and switches.

import type { ComponentChildren, JSX } from "preact";
import { useId } from "preact/hooks";
import { Field, type FieldProps } from "./field.tsx";

interface TextFieldProps extends FieldProps {
  readonly value: string;
  readonly onValue: (value: string) => void;
  readonly type?: "text" | "url" | "number" | "password";
  readonly code?: boolean;
  readonly placeholder?: string;
  readonly autofocus?: boolean;
  readonly autocomplete?: string;
  readonly unit?: string;
}

export function TextField({
  value,
  onValue,
  type = "text",
  code = false,
  placeholder,
  autofocus = false,
  autocomplete = "off",
  unit,
  ...field
}: TextFieldProps): JSX.Element {
  return (
    <Field {...field}>
      {(control) => (
        <span class="with-unit">
          <input
            {...control}
            // A number field would hand over nothing for what it cannot read, as if nothing had been typed.
            type={(type === "number" ? "text" : type) as "text"}
            inputMode={type === "number" ? "numeric" : undefined}
            class={type === "number" ? "number" : code ? "code" : undefined}
            value={value}
            placeholder={placeholder}
            // biome-ignore lint/a11y/noAutofocus: the first field of a dialog or of the sign-in, asked for by name
            autoFocus={autofocus}
            autocomplete={autocomplete}
            autocapitalize="off"
            spellcheck={false}
            onInput={(event) => onValue(event.currentTarget.value)}
          />
          {unit && <span class="unit">{unit}</span>}
        </span>
      )}
    </Field>
  );
}

interface Choice<Value extends string> {
  readonly value: Value;
  readonly label: string;
  readonly hint?: string;
}

interface ChoicesProps<Value extends string> {
  readonly name: string;
  readonly value: Value;
  readonly choices: readonly Choice<Value>[];
  readonly onValue: (value: Value) => void;
}

/** Radio buttons, each with a line that says what it means. */
export function Choices<Value extends string>({
  name,
  value,
  choices,
  onValue,
}: ChoicesProps<Value>): JSX.Element {
  return (
    <div class="choices">
      {choices.map((choice) => (
        <Option
          key={choice.value}
          type="radio"
          name={name}
          checked={choice.value === value}
          onChecked={() => onValue(choice.value)}
          {...(choice.hint !== undefined && { hint: choice.hint })}
        >
          {choice.label}
        </Option>
      ))}
    </div>
  );
}

interface OptionProps {
  readonly type: "radio" | "checkbox";
  readonly name: string;
  readonly checked: boolean;
  readonly children: ComponentChildren;
  readonly hint?: ComponentChildren;
  readonly onChecked: (checked: boolean) => void;
  readonly disabled?: boolean;
}

export function Option({
  type,
  name,
  checked,
  children,
  hint,
  onChecked,
  disabled = false,
}: OptionProps): JSX.Element {
  const id = useId();
  return (
    <div class="option">
      <input
        type={type}
        id={id}
        name={name}
        checked={checked}
        disabled={disabled}
        aria-describedby={hint ? `${id}-hint` : undefined}
        onChange={(event) => onChecked(event.currentTarget.checked)}
      />
      <label for={id}>{children}</label>
      {hint && (
        <p class="hint" id={`${id}-hint`}>
          {hint}
        </p>
      )}
    </div>
  );
}
