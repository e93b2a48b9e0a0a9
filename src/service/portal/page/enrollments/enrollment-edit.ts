// Editing one enrollment. What is wrong is said of its field; what is typed is kept until it is saved or given up; what
// somebody else changed meanwhile is merged, never overwritten.

import { useEffect, useRef, useState } from "preact/hooks";
import { asFailure, type Failure } from "../data/call.ts";
import { type Draft, draftOf, newDraft, recordOf } from "../data/draft.ts";
import { useKept } from "../data/drafts.ts";
import { createEnrollment, fetchEnrollment, updateEnrollment } from "../data/enrollment-calls.ts";
import { type EnrollmentKind, idOf } from "../data/kinds.ts";
import { type Merge, mergeDrafts, sameDraft } from "../data/merge.ts";
import { type Mistakes, mistakesIn } from "../data/mistakes.ts";
import type { EnrollmentRecord } from "../data/records.ts";
import { go, hrefOf } from "../data/route.ts";
import { useTask } from "../data/task.ts";
import { notify } from "../parts/notices.tsx";
import { fieldFor } from "./enrollment-fields.ts";

interface EditOptions {
  readonly kind: EnrollmentKind;
  /** As it is on the service; absent for a new one. */
  readonly record: EnrollmentRecord | undefined;
  /** The enrollment on the service is another than `record` now. */
  readonly onChanged: (() => void) | undefined;
}

export interface EnrollmentEdit {
  readonly draft: Draft;
  readonly isTouched: boolean;
  /** Typed at an earlier visit. */
  readonly restored: boolean;
  readonly mistakes: Mistakes;
  readonly failure: Failure | undefined;
  readonly conflict: Merge | "deleted" | undefined;
  readonly busy: boolean;
  /** How often saving was tried and something was wrong. */
  readonly attempts: number;
  change(changed: Partial<Draft>): void;
  save(): Promise<void>;
  discard(): void;
  /** What is typed goes on top of another version. */
  rebase(record: EnrollmentRecord): void;
}

export function useEnrollmentEdit({ kind, record, onChanged }: EditOptions): EnrollmentEdit {
  const isNew = record === undefined;
  const id = record ? idOf(kind, record) : "";
  const read = (from: EnrollmentRecord | undefined): Draft => (from ? draftOf(kind, from) : newDraft(kind));
  const kept = useKept(`${kind.route}/${id || "new"}`, { base: record, draft: read(record) });
  const { base, draft } = kept.value;
  const original = read(base);
  const isTouched = !sameDraft(original, draft);
  const latest = useRef(draft);
  latest.current = draft;

  const [mistakes, setMistakes] = useState<Mistakes>(new Map());
  const [conflict, setConflict] = useState<Merge | "deleted">();
  const [attempts, setAttempts] = useState(0);
  const { busy, failure, run, forgive } = useTask();

  const keep = (from: EnrollmentRecord | undefined, next: Draft): void => {
    kept.keep({ base: from, draft: next });
    if (sameDraft(read(from), next)) kept.forget();
  };

  // Nobody has typed here, and the record is another one now.
  useEffect(() => {
    if (record && !isTouched && record.etag !== base?.etag) keep(record, read(record));
  });

  const complain = (found: Mistakes): void => {
    setMistakes(found);
    setAttempts((before) => before + 1);
  };

  const change = (changed: Partial<Draft>): void => {
    const next = { ...latest.current, ...changed };
    latest.current = next;
    keep(base, next);
    // What is mended is no mistake any more; new ones are found when it is sent again.
    const left = mistakesIn(kind, next, { isNew });
    setMistakes((before) => new Map([...left].filter(([field]) => before.has(field))));
  };

  const create = async (): Promise<void> => {
    const wanted = recordOf(kind, draft);
    await createEnrollment(kind, wanted);
    kept.forget();
    notify(`Created ${idOf(kind, wanted)}.`);
    go(hrefOf([kind.route, idOf(kind, wanted)]), { replace: true });
  };

  const update = async (): Promise<void> => {
    const saved = await updateEnrollment(kind, id, recordOf(kind, draft, base));
    // Somebody may have typed on in the meantime.
    keep(saved, latest.current === draft ? read(saved) : latest.current);
    notify(`Saved ${id}.`);
    onChanged?.();
  };

  /** Throws what has to be shown besides. */
  const explain = async (refusal: Failure): Promise<void> => {
    if (refusal.status === 412) return merge();
    const field = fieldFor(kind, refusal.field);
    if (field) complain(new Map([[field, refusal.message]]));
    else if (refusal.status === 409 && isNew)
      complain(new Map([[kind.idMember, `${draft.id.trim()} already exists.`]]));
    throw refusal;
  };

  const merge = async (): Promise<void> => {
    try {
      const current = await fetchEnrollment(kind, id);
      const merged = mergeDrafts(original, latest.current, read(current));
      setConflict(merged);
      keep(current, merged.draft);
    } catch (error) {
      if (asFailure(error).status !== 404) throw error;
      setConflict("deleted");
    }
  };

  const save = async (): Promise<void> => {
    const found = mistakesIn(kind, draft, { isNew });
    forgive();
    setConflict(undefined);
    setMistakes(found);
    if (found.size > 0) return complain(found);
    await run(() => (isNew ? create() : update()).catch((error) => explain(asFailure(error))));
  };

  const discard = (): void => {
    keep(base, original);
    setMistakes(new Map());
    setConflict(undefined);
    forgive();
    if (isNew) go(hrefOf([kind.route]));
  };

  const rebase = (other: EnrollmentRecord): void => {
    keep(other, isTouched ? draft : read(other));
    onChanged?.();
  };

  const { restored } = kept;
  return {
    ...{ draft, isTouched, restored, mistakes, failure, conflict, busy, attempts },
    ...{ change, save, discard, rebase },
  };
}
