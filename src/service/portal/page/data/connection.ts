// Whether the service can be reached. After a loss it is asked again and again, ever more patiently; when it answers,
// everything on the page that was loaded is loaded anew.

import { createStore } from "./store.ts";

export const connection = createStore<"present" | "lost">("present");

/** Counts recoveries: what depends on it is loaded again. */
export const recoveries = createStore(0);

const firstPauseMs = 1_000;
const longestPauseMs = 15_000;

/** A call did not reach the service. Repeated reports of one loss are one loss. */
export function connectionLost(): void {
  if (connection.get() === "lost") return;
  connection.set("lost");
  askAgain(firstPauseMs);
}

/** A call was answered, whatever the answer. */
export function connectionPresent(): void {
  if (connection.get() === "present") return;
  connection.set("present");
  recoveries.set(recoveries.get() + 1);
}

function askAgain(pauseMs: number): void {
  setTimeout(async () => {
    if (connection.get() === "present") return;
    try {
      await fetch("/portal/session", { cache: "no-store" });
      connectionPresent();
    } catch {
      askAgain(Math.min(pauseMs * 1.6, longestPauseMs));
    }
  }, pauseMs);
}

window.addEventListener("online", () => {
  if (connection.get() === "lost") askAgain(0);
});
