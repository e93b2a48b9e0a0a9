// What was done is said at the foot of the page for a while, and to screen readers politely.

import type { JSX } from "preact";
import { createStore, useStore } from "../data/store.ts";

interface Notice {
  readonly id: number;
  readonly text: string;
}

const notices = createStore<readonly Notice[]>([]);

const shownMs = 7_000;
let latest = 0;

export function notify(text: string): void {
  latest += 1;
  const notice = { id: latest, text };
  notices.set([...notices.get().slice(-2), notice]);
  setTimeout(() => notices.set(notices.get().filter(({ id }) => id !== notice.id)), shownMs);
}

export function Notices(): JSX.Element {
  return (
    <div class="notices" role="status">
      {useStore(notices).map(({ id, text }) => (
        <p key={id}>{text}</p>
      ))}
    </div>
  );
}
