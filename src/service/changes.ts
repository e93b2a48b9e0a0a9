// What changed in the store, told to whoever subscribed as soon as the write is acknowledged: at once, or with the
// commit of the transaction that it is part of.

import type { EnrollmentGroup, IndividualEnrollment, LinkedHub, Registration } from "./records.ts";
import type { TargetedScenario } from "./scenario-table.ts";

/** `row` is missing when it is gone. */
export type Change =
  | { readonly of: "registration"; readonly id: string; readonly row?: Registration }
  | { readonly of: "enrollment"; readonly id: string; readonly row?: IndividualEnrollment }
  | { readonly of: "enrollmentGroup"; readonly id: string; readonly row?: EnrollmentGroup }
  | { readonly of: "hub"; readonly id: string; readonly row?: LinkedHub }
  | { readonly of: "scenario"; readonly id: string; readonly row?: TargetedScenario }
  | { readonly of: "policy"; readonly id: string };

export interface Changes {
  note(change: Change): void;
  /** What is noted from now on waits for `release` or `drop`. */
  hold(): void;
  release(): void;
  drop(): void;
  /** `listener` must not throw. Undo with what is returned. */
  subscribe(listener: (change: Change) => void): () => void;
}

export function createChanges(): Changes {
  const listeners = new Set<(change: Change) => void>();
  let held: Change[] | undefined;
  const tell = (change: Change): void => {
    for (const listener of listeners) listener(change);
  };
  return {
    note(change) {
      if (held) held.push(change);
      else tell(change);
    },
    hold() {
      held = [];
    },
    release() {
      const changes = held ?? [];
      held = undefined;
      for (const change of changes) tell(change);
    },
    drop() {
      held = undefined;
    },
    subscribe(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
  };
}

/** The same rows, whose writes are noted. */
export const announced = <Row, Rows>(
  { note }: Changes,
  of: Change["of"],
  rows: Rows & { put(row: Row): void; delete(id: string): boolean },
  idOf: (row: Row) => string,
): Rows => ({
  ...rows,
  put(row: Row) {
    rows.put(row);
    note({ of, id: idOf(row), row } as Change);
  },
  delete(id: string) {
    const wasThere = rows.delete(id);
    if (wasThere) note({ of, id });
    return wasThere;
  },
});
