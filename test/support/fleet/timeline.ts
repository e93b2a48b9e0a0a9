// Virtual time for a whole fleet: whoever sleeps is resumed in the order of time, and hours pass in a moment.

import { setImmediate as settled } from "node:timers/promises";

export interface Timeline {
  /** ms since the beginning. */
  now(): number;
  /** Runs `act` in `ms`, and in order. */
  after(ms: number, act: () => void): void;
  sleep(ms: number): Promise<void>;
  /** Lets time pass until nobody sleeps any more, or until the end. */
  run(endMs: number): Promise<void>;
}

interface Entry {
  readonly at: number;
  /** Those of one moment keep their order. */
  readonly turn: number;
  readonly act: () => void;
  /** Goes on in promises: time stands until they have settled. */
  readonly isAsync: boolean;
}

export function openTimeline(): Timeline {
  const heap: Entry[] = [];
  let now = 0;
  let turns = 0;
  const add = (ms: number, act: () => void, isAsync: boolean): void =>
    push(heap, { at: now + Math.max(0, Math.ceil(ms)), turn: turns++, act, isAsync });
  return {
    now: () => now,
    after: (ms, act) => add(ms, act, false),
    sleep: (ms) => new Promise((resolve) => add(ms, resolve, true)),
    run: async (endMs) => {
      await settled();
      for (let next = pop(heap); next && next.at <= endMs; next = pop(heap)) {
        now = next.at;
        next.act();
        if (next.isAsync && !(heap[0]?.at === now && heap[0].isAsync)) await settled();
      }
    },
  };
}

const before = (a: Entry, b: Entry): boolean => a.at < b.at || (a.at === b.at && a.turn < b.turn);

/** A binary heap, the earliest entry at the top. */
function push(heap: Entry[], entry: Entry): void {
  let index = heap.length;
  heap.push(entry);
  while (index > 0) {
    const parent = (index - 1) >> 1;
    const above = heap[parent] as Entry;
    if (!before(entry, above)) break;
    heap[index] = above;
    index = parent;
  }
  heap[index] = entry;
}

function pop(heap: Entry[]): Entry | undefined {
  const top = heap[0];
  const last = heap.pop();
  if (!top || !last || heap.length === 0) return top;
  let index = 0;
  for (;;) {
    let child = 2 * index + 1;
    if (child >= heap.length) break;
    if (child + 1 < heap.length && before(heap[child + 1] as Entry, heap[child] as Entry)) child += 1;
    if (!before(heap[child] as Entry, last)) break;
    heap[index] = heap[child] as Entry;
    index = child;
  }
  heap[index] = last;
  return top;
}
