// A text field for JSON that says at every key whether it is JSON, and leads to the place where it is not.

import type { JSX } from "preact";
import { useRef } from "preact/hooks";
import type { TwinMistake } from "../data/twin.ts";
import { Button } from "./button.tsx";
import { Field, type FieldProps } from "./field.tsx";
import { Icon } from "./icon.tsx";

interface JsonEditorProps extends Omit<FieldProps, "mistake"> {
  readonly value: string;
  readonly onValue: (value: string) => void;
  readonly wrong: TwinMistake | undefined;
}

const leastRows = 7;
const mostRows = 24;

export function JsonEditor({ value, onValue, wrong, ...field }: JsonEditorProps): JSX.Element {
  const area = useRef<HTMLTextAreaElement>(null);
  const place = wrong?.place;
  const goThere = (): void => {
    if (!place || !area.current) return;
    area.current.focus();
    area.current.setSelectionRange(place.offset, place.offset + 1);
  };
  return (
    <Field {...field} mistake={wrong && !place ? wrong.what : undefined}>
      {(control) => (
        <>
          <textarea
            {...control}
            ref={area}
            class="code json"
            rows={Math.min(mostRows, Math.max(leastRows, value.split("\n").length + 1))}
            spellcheck={false}
            autocapitalize="off"
            autocomplete="off"
            aria-invalid={wrong ? true : undefined}
            value={value}
            onInput={(event) => onValue(event.currentTarget.value)}
          />
          <div class="json-state">
            <span role="status">
              {place && (
                <span class="mistake">
                  <Icon name="warning" /> Line {place.line}, column {place.column}: {wrong.what}.
                </span>
              )}
              {!wrong && (
                <span class="fine">
                  <Icon name="check" /> Valid JSON
                </span>
              )}
            </span>
            {place && (
              <Button look="quiet" onClick={goThere}>
                Go there
              </Button>
            )}
            {!wrong && value.trim() !== "" && (
              <Button look="quiet" onClick={() => onValue(JSON.stringify(JSON.parse(value), null, 2))}>
                Tidy up
              </Button>
            )}
          </div>
        </>
      )}
    </Field>
  );
}
