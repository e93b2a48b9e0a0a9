// What happens in the service while somebody looks: server-sent events, spread to the views that care.

import { useEffect, useRef } from "preact/hooks";
import { connectionLost, recoveries } from "./connection.ts";
import type { LiveKind } from "./records.ts";
import { createStore } from "./store.ts";

const eventNames = ["registration", "enrollment", "hub", "scenario"] as const;

interface LiveEvent {
  readonly kind: LiveKind;
  /** Of what changed: registration id, group or hub name; empty when the event names nothing. */
  readonly id: string;
}

/** Shown by a dot beside the name: whether the page moves by itself. */
export const liveState = createStore<"live" | "connecting" | "off">("off");

const listeners = new Set<(event: LiveEvent) => void>();

const retryMs = 5_000;

/**
 * Listens until the answer is called. A browser reconnects by itself unless it was refused; and because it has only a
 * few connections to one server, a tab that nobody sees gives its own back. Whoever missed something loads anew.
 */
export function listenToService(): () => void {
  let source: EventSource | undefined;
  let retry: ReturnType<typeof setTimeout> | undefined;
  let hasMissed = false;
  const close = (): void => {
    clearTimeout(retry);
    source?.close();
    liveState.set("off");
    hasMissed = true;
  };
  const open = (): void => {
    liveState.set("connecting");
    source = new EventSource("/mooring/events");
    source.onopen = () => {
      liveState.set("live");
      if (hasMissed) recoveries.set(recoveries.get() + 1);
      hasMissed = false;
    };
    source.onerror = () => {
      hasMissed = true;
      liveState.set("connecting");
      if (source?.readyState !== EventSource.CLOSED) return connectionLost();
      retry = setTimeout(open, retryMs);
    };
    for (const name of eventNames) {
      source.addEventListener(name, (event) => tell(name, (event as MessageEvent<string>).data));
    }
  };
  const follow = (): void => {
    close();
    if (document.visibilityState === "visible") open();
  };
  if (document.visibilityState === "visible") open();
  document.addEventListener("visibilitychange", follow);
  return () => {
    document.removeEventListener("visibilitychange", follow);
    close();
  };
}

function tell(name: (typeof eventNames)[number], data: string): void {
  const { registrationId, enrollmentGroupId, hostName } = JSON.parse(data) as Record<string, string>;
  const id = registrationId ?? enrollmentGroupId ?? hostName ?? "";
  // Groups and individual enrollments are told under one name.
  const kind = name === "enrollment" && registrationId === undefined ? "enrollmentGroup" : name;
  for (const listener of [...listeners]) listener({ kind, id });
}

/** Calls `listener` for events of these kinds while the component is there. */
function useLive(kinds: readonly LiveKind[], listener: (event: LiveEvent) => void): void {
  const latest = useRef(listener);
  latest.current = listener;
  const key = kinds.join();
  useEffect(() => {
    const wanted = key.split(",");
    const hear = (event: LiveEvent) => wanted.includes(event.kind) && latest.current(event);
    listeners.add(hear);
    return () => listeners.delete(hear);
  }, [key]);
}

const gatherMs = 400;
/** While a whole fleet registers, one look in so long is enough. */
const restMs = 2_000;

/** Events come in bursts, and a burst is one reason to look again. `act` is told what changed. */
export function useLiveBursts(kinds: readonly LiveKind[], act: (ids: ReadonlySet<string>) => void): void {
  const latest = useRef(act);
  latest.current = act;
  const gathered = useRef<{ ids: Set<string>; timer?: ReturnType<typeof setTimeout> }>({ ids: new Set() });
  const lookedAt = useRef(Number.NEGATIVE_INFINITY);
  useLive(kinds, ({ id }) => {
    const burst = gathered.current;
    burst.ids.add(id);
    const rest = lookedAt.current + restMs - performance.now();
    burst.timer ??= setTimeout(
      () => {
        gathered.current = { ids: new Set() };
        lookedAt.current = performance.now();
        latest.current(burst.ids);
      },
      Math.max(gatherMs, rest),
    );
  });
  useEffect(() => () => clearTimeout(gathered.current.timer), []);
}
