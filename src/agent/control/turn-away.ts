// For an agent that cannot start: whoever comes to the socket that systemd holds is told why. A connection that nobody
// takes would have systemd start the agent again at once, and so without end.

import { createServer } from "node:net";
import { errorJson, type MooringError } from "../../errors.ts";
import type { Clock } from "../../system/clock.ts";
import { encodeLine } from "./wire.ts";

/** Long enough that a client that asks again and again cannot have the agent started more than once a second. */
const turnAwayMs = 1000;

/** Answers everybody on the listening socket `fd` with `failure`, for a second or until the signal aborts. */
export async function turnAway(
  failure: MooringError,
  { fd, clock, signal }: { readonly fd: number; readonly clock: Clock; readonly signal: AbortSignal },
): Promise<void> {
  const answer = encodeLine({ error: errorJson(failure) });
  const server = createServer((socket) => {
    socket.on("error", () => {}); // who has gone needs no answer
    socket.end(answer, () => socket.destroy());
  });
  server.on("error", () => {}); // the failure itself is what is told
  server.listen({ fd });
  await clock.sleep(turnAwayMs, { signal }).catch(() => {});
  server.close();
}
