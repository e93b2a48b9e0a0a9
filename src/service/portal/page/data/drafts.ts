// What somebody has typed and not saved. It outlives a look at another view, the back button, and the end of the
// session; it lives in this page's memory and nowhere else, because keys may be in it.

import { useCallback, useState } from "preact/hooks";

const kept = new Map<string, unknown>();

window.addEventListener("beforeunload", (event) => {
  if (kept.size > 0) event.preventDefault();
});

export const forgetDrafts = (): void => kept.clear();

export interface Kept<Value> {
  readonly value: Value;
  /** From an earlier visit. */
  readonly restored: boolean;
  keep(value: Value): void;
  /** Saved, or given up. */
  forget(): void;
}

/** The component that uses it must be keyed by `key`. */
export function useKept<Value>(key: string, initial: Value): Kept<Value> {
  const [restored] = useState(kept.has(key));
  const [value, setValue] = useState<Value>(() => (kept.has(key) ? (kept.get(key) as Value) : initial));
  const keep = useCallback(
    (changed: Value) => {
      kept.set(key, changed);
      setValue(changed);
    },
    [key],
  );
  const forget = useCallback(() => kept.delete(key), [key]);
  return { value, restored, keep, forget };
}
