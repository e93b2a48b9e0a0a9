// Somebody else was quicker. What they changed is said; what was typed here is still there, on top of it.

import type { JSX } from "preact";
import type { EnrollmentKind } from "../data/kinds.ts";
import { fieldNames, type Merge } from "../data/merge.ts";
import { hrefOf } from "../data/route.ts";
import { Button } from "../parts/button.tsx";
import { Icon } from "../parts/icon.tsx";

interface ConflictNoticeProps {
  readonly conflict: Merge | "deleted";
  readonly kind: EnrollmentKind;
  readonly onDiscard: () => void;
}

export function ConflictNotice({ conflict, kind, onDiscard }: ConflictNoticeProps): JSX.Element {
  if (conflict === "deleted")
    return (
      <div class="failure" role="alert">
        <Icon name="warning" />
        <div>
          <strong>Not saved: it was deleted meanwhile.</strong> What you typed is still below, to be copied.{" "}
          <a href={hrefOf([kind.route])}>Back to the list</a>
        </div>
      </div>
    );
  const { theirs } = conflict;
  const disputed = theirs.filter((each) => each.disputed);
  const taken = theirs.filter((each) => !each.disputed);
  return (
    <div class="failure" role="alert">
      <Icon name="warning" />
      <div>
        <strong>Not saved: somebody else changed this enrollment meanwhile.</strong>
        {taken.length > 0 && <p>Taken over from their version: {names(taken)}.</p>}
        {disputed.length > 0 && (
          <p>
            You both changed: {names(disputed)}. <strong>Below is what you typed.</strong>
          </p>
        )}
        {theirs.length === 0 && <p>Nothing that is shown here; your changes still fit.</p>}
        <p>
          Look it over, then save again.{" "}
          <Button look="quiet" onClick={onDiscard}>
            Discard my changes
          </Button>
        </p>
      </div>
    </div>
  );
}

const names = (fields: Merge["theirs"]): string => fields.map(({ field }) => fieldNames[field]).join(", ");
