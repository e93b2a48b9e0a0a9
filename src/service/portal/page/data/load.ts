// What a component shows comes from a call: loaded when it appears, when its keys change, when asked, and when the
// service is back after a loss. While it is loaded again, the old value stays.

import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { asFailure, type Failure } from "./call.ts";
import { recoveries } from "./connection.ts";
import { sessionState } from "./session.ts";
import { useStore } from "./store.ts";

export interface Loaded<Value> {
  readonly value: Value | undefined;
  readonly failure: Failure | undefined;
  readonly loading: boolean;
  reload(): void;
}

/** `keys` say what is loaded: when they change, the old value goes. */
export function useLoad<Value>(
  load: (signal: AbortSignal) => Promise<Value>,
  keys: readonly string[],
): Loaded<Value> {
  const key = JSON.stringify(keys);
  const [state, setState] = useState<{ key: string; value?: Value; failure?: Failure; loading: boolean }>({
    key,
    loading: true,
  });
  const [wish, setWish] = useState(0);
  const recovery = useStore(recoveries);
  const { kind } = useStore(sessionState);
  const latest = useRef(load);
  latest.current = load;

  // Each of them asks for loading again.
  useEffect(() => {
    if (kind === "ended") return undefined;
    const stop = new AbortController();
    setState((before) => (before.key === key ? { ...before, loading: true } : { key, loading: true }));
    latest.current(stop.signal).then(
      (value) => !stop.signal.aborted && setState({ key, value, loading: false }),
      (error) => {
        if (stop.signal.aborted) return;
        setState((before) => ({ ...before, key, failure: asFailure(error), loading: false }));
      },
    );
    return () => stop.abort();
  }, [key, wish, recovery, kind]);

  const reload = useCallback(() => setWish((before) => before + 1), []);
  const current = state.key === key ? state : { key, loading: true };
  return { value: current.value, failure: current.failure, loading: current.loading, reload };
}
