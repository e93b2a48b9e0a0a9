// One enrollment, new or present, as a form: what is typed, what is wrong with it, and what becomes of it.

import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import type { EnrollmentKind } from "../data/kinds.ts";
import { useLoad } from "../data/load.ts";
import { fetchHubs } from "../data/management-calls.ts";
import type { EnrollmentRecord } from "../data/records.ts";
import { useMay } from "../data/session.ts";
import { Button } from "../parts/button.tsx";
import { Actions } from "../parts/dialog.tsx";
import { FailureNotice } from "../parts/failure-notice.tsx";
import { TextField } from "../parts/inputs.tsx";
import { ConflictNotice } from "./conflict-notice.tsx";
import { useEnrollmentEdit } from "./enrollment-edit.ts";
import { HubSection } from "./hub-section.tsx";
import { NewCredential } from "./new-credential.tsx";
import { PresentCredential } from "./present-credential.tsx";
import { RollCertificate } from "./roll-certificate.tsx";
import { DeviceSection, ReprovisionSection, Section, TwinSection } from "./settings-sections.tsx";

interface EnrollmentFormProps {
  readonly kind: EnrollmentKind;
  /** Absent for a new one. */
  readonly record?: EnrollmentRecord;
  /** The enrollment on the service is another than `record` now. */
  readonly onChanged?: () => void;
}

export function EnrollmentForm({ kind, record, onChanged }: EnrollmentFormProps): JSX.Element {
  const isNew = record === undefined;
  const mayWrite = useMay("EnrollmentWrite");
  const edit = useEnrollmentEdit({ kind, record, onChanged });
  const { draft, isTouched, mistakes, failure, conflict, busy, change, save, discard } = edit;
  const [rolling, setRolling] = useState(false);
  const form = useRef<HTMLFormElement>(null);
  const { value: linked = [] } = useLoad(fetchHubs, []);

  // The first thing that is wrong is where one continues.
  useEffect(() => {
    const wrong = form.current?.querySelector<HTMLElement>("[aria-invalid]");
    wrong?.focus();
    wrong?.scrollIntoView({ block: "center" });
  }, [edit.attempts]);

  return (
    <>
      <form
        ref={form}
        class="enrollment-form"
        noValidate
        onSubmit={(event) => {
          event.preventDefault();
          void save();
        }}
      >
        {edit.restored && isTouched && !conflict && (
          <div class="note" role="status">
            This is what you typed earlier and have not saved.{" "}
            <Button look="quiet" onClick={discard}>
              Discard it
            </Button>
          </div>
        )}
        {conflict && <ConflictNotice conflict={conflict} kind={kind} onDiscard={discard} />}
        {failure && (
          <FailureNotice
            failure={failure}
            title={isNew ? `The ${kind.one} was not created` : "The changes were not saved"}
          />
        )}
        <fieldset class={isNew ? "columns halves" : "stack"} disabled={!mayWrite}>
          <div class="stack">
            <Section title={isNew ? "Identity" : "Attestation"}>
              {isNew ? (
                <>
                  <TextField
                    label={kind.idLabel}
                    name={kind.idMember}
                    hint={kind.idHint}
                    code
                    value={draft.id}
                    mistake={mistakes.get(kind.idMember)}
                    onValue={(value) => change({ id: value })}
                  />
                  <NewCredential kind={kind} draft={draft} mistakes={mistakes} change={change} />
                </>
              ) : (
                <PresentCredential kind={kind} record={record} onRoll={() => setRolling(true)} />
              )}
            </Section>
            <DeviceSection kind={kind} draft={draft} mistakes={mistakes} change={change} />
          </div>
          <div class="stack">
            <HubSection draft={draft} mistakes={mistakes} change={change} linked={linked} />
            <ReprovisionSection draft={draft} mistakes={mistakes} change={change} />
            <TwinSection draft={draft} mistakes={mistakes} change={change} />
          </div>
        </fieldset>
        {mayWrite && (
          <div class="save-bar">
            <Actions>
              <Button onClick={discard} disabled={!isNew && !isTouched}>
                {isNew ? "Cancel" : "Discard changes"}
              </Button>
              <Button type="submit" look="primary" busy={busy} disabled={!isNew && !isTouched}>
                {busy ? "Saving…" : isNew ? "Create" : "Save"}
              </Button>
            </Actions>
          </div>
        )}
      </form>
      {rolling && record && (
        <RollCertificate
          kind={kind}
          record={record}
          onClose={() => setRolling(false)}
          onRolled={(rolled) => {
            setRolling(false);
            edit.rebase(rolled);
          }}
        />
      )}
    </>
  );
}
