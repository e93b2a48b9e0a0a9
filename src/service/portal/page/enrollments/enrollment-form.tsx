// One enrollment, new or present, as a form. What is wrong stands at its field; what is typed is kept until it is saved
// or given up; what somebody else changed meanwhile is merged, never overwritten.

import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { asFailure, type Failure } from "../data/call.ts";
import { type Draft, draftOf, type Mistakes, mistakesIn, newDraft, recordOf } from "../data/draft.ts";
import { useKept } from "../data/drafts.ts";
import { createEnrollment, fetchEnrollment, updateEnrollment } from "../data/enrollment-calls.ts";
import { type EnrollmentKind, idOf } from "../data/kinds.ts";
import { useLoad } from "../data/load.ts";
import { fetchHubs } from "../data/management-calls.ts";
import { type Merge, mergeDrafts, sameDraft } from "../data/merge.ts";
import type { EnrollmentRecord } from "../data/records.ts";
import { go, hrefOf } from "../data/route.ts";
import { useMay } from "../data/session.ts";
import { Button } from "../parts/button.tsx";
import { Actions } from "../parts/dialog.tsx";
import { FailureNotice } from "../parts/failure-notice.tsx";
import { TextField } from "../parts/inputs.tsx";
import { notify } from "../parts/notices.tsx";
import { ConflictNotice } from "./conflict-notice.tsx";
import { NewCredential } from "./new-credential.tsx";
import { PresentCredential } from "./present-credential.tsx";
import { RollCertificate } from "./roll-certificate.tsx";
import { DeviceSection, HubSection, ReprovisionSection, Section, TwinSection } from "./settings-sections.tsx";

interface EnrollmentFormProps {
  readonly kind: EnrollmentKind;
  /** Absent for a new one. */
  readonly record?: EnrollmentRecord;
  /** The enrollment on the service is another than `record` now. */
  readonly onChanged?: () => void;
}

/** What is being edited, and the version that it began with. */
interface Edit {
  readonly base: EnrollmentRecord | undefined;
  readonly draft: Draft;
}

export function EnrollmentForm({ kind, record, onChanged }: EnrollmentFormProps): JSX.Element {
  const isNew = record === undefined;
  const id = record ? idOf(kind, record) : "";
  const mayWrite = useMay("EnrollmentWrite");
  const edit = useKept<Edit>(`${kind.route}/${id || "new"}`, {
    base: record,
    draft: record ? draftOf(kind, record) : newDraft(kind),
  });
  const { base, draft } = edit.value;
  const original = base ? draftOf(kind, base) : newDraft(kind);
  const isTouched = !sameDraft(original, draft);

  const [mistakes, setMistakes] = useState<Mistakes>(new Map());
  const [failure, setFailure] = useState<Failure>();
  const [conflict, setConflict] = useState<Merge | "deleted">();
  const [busy, setBusy] = useState(false);
  const [attempts, setAttempts] = useState(0);
  const [rolling, setRolling] = useState(false);
  const form = useRef<HTMLFormElement>(null);
  const { value: linked = [] } = useLoad(fetchHubs, []);

  // The first thing that is wrong is where one continues.
  useEffect(() => {
    const wrong = form.current?.querySelector<HTMLElement>("[aria-invalid]");
    wrong?.focus();
    wrong?.scrollIntoView({ block: "center" });
  }, [attempts]);

  // Nobody has typed here, and the record is another one now.
  useEffect(() => {
    if (record && !isTouched && record.etag !== base?.etag) {
      edit.keep({ base: record, draft: draftOf(kind, record) });
      edit.forget();
    }
  });

  const change = (changed: Partial<Draft>): void => {
    const next = { ...draft, ...changed };
    edit.keep({ base, draft: next });
    if (sameDraft(original, next)) edit.forget();
    // What is mended is no mistake any more; new ones are found when it is sent again.
    const left = mistakesIn(kind, next, { isNew });
    setMistakes((before) => new Map([...left].filter(([field]) => before.has(field))));
  };

  const save = async (): Promise<void> => {
    if (busy) return;
    setFailure(undefined);
    setConflict(undefined);
    const found = mistakesIn(kind, draft, { isNew });
    setMistakes(found);
    setAttempts((before) => before + 1);
    if (found.size > 0) return;
    setBusy(true);
    try {
      const wanted = recordOf(kind, draft, base);
      if (isNew) {
        await createEnrollment(kind, wanted);
        edit.forget();
        notify(`Created ${idOf(kind, wanted)}.`);
        go(hrefOf([kind.route, idOf(kind, wanted)]), { replace: true });
        return;
      }
      const saved = await updateEnrollment(kind, id, wanted);
      edit.keep({ base: saved, draft: draftOf(kind, saved) });
      edit.forget();
      notify(`Saved ${id}.`);
      onChanged?.();
    } catch (error) {
      await explain(asFailure(error));
    }
    setBusy(false);
  };

  const explain = async (refusal: Failure): Promise<void> => {
    if (refusal.status === 412) {
      try {
        const current = await fetchEnrollment(kind, id);
        const merge = mergeDrafts(original, draft, draftOf(kind, current));
        setConflict(merge);
        edit.keep({ base: current, draft: merge.draft });
      } catch (error) {
        if (asFailure(error).status !== 404) return setFailure(asFailure(error));
        setConflict("deleted");
      }
      return;
    }
    const field = fieldFor(refusal.field, kind);
    if (field) setMistakes(new Map([[field, refusal.message]]));
    else if (refusal.status === 409 && isNew)
      setMistakes(new Map([[kind.idMember, `${draft.id.trim()} already exists.`]]));
    setFailure(refusal);
    setAttempts((before) => before + 1);
  };

  const discard = (): void => {
    edit.keep({ base, draft: original });
    edit.forget();
    setMistakes(new Map());
    setFailure(undefined);
    setConflict(undefined);
    if (isNew) go(hrefOf([kind.route]));
  };

  // What is typed stays on top of the enrollment with its new certificate.
  const afterRoll = (rolled: EnrollmentRecord): void => {
    setRolling(false);
    edit.keep({ base: rolled, draft });
    if (!isTouched) edit.forget();
    onChanged?.();
  };

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
        <RollCertificate kind={kind} record={record} onClose={() => setRolling(false)} onRolled={afterRoll} />
      )}
    </>
  );
}

/** The field of the form that the service means by a member of the request. */
function fieldFor(member: string | undefined, kind: EnrollmentKind): string | undefined {
  if (member === undefined) return undefined;
  const fields = [
    kind.idMember,
    "deviceId",
    `attestation.x509.${kind.certificates}.primary`,
    `attestation.x509.${kind.certificates}.secondary`,
    "attestation.tpm.endorsementKey",
    "attestation.symmetricKey.primaryKey",
    "attestation.symmetricKey.secondaryKey",
    "attestation.type",
    "allocationPolicy",
    "iotHubs",
    "customAllocationDefinition.webhookUrl",
    "reprovisionPolicy",
    "initialTwin",
  ];
  if (member === "iotHubHostName") return "iotHubs";
  if (member === "customAllocationDefinition") return "customAllocationDefinition.webhookUrl";
  return fields.find((field) => member === field || member.startsWith(`${field}.`));
}
