// Where those who watch the service are connected to its events.

import type { EventStreams, Watcher } from "./event-streams.ts";
import type { OperatorCall, OperatorRoute } from "./operator-api.ts";
import type { Store } from "./store.ts";

export function eventRoutes(
  route: OperatorRoute,
  { store, eventStreams }: { store: Store; eventStreams: EventStreams },
): void {
  const readers = ["EnrollmentRead", "RegistrationStatusRead"] as const;
  route("GET", "/mooring/events", readers, (call) => {
    eventStreams.verifyRoom();
    const { reply } = call;
    reply.header("content-type", "text/event-stream; charset=utf-8");
    reply.hijack();
    const response = reply.raw;
    response.writeHead(200, reply.getHeaders() as Record<string, string>);
    eventStreams.open(response, watcherOf(call, store));
    return reply;
  });
}

/** A browser may watch while it is signed in; the holder of a key, until some key is rotated: then it has to show its own again. */
const watcherOf = ({ policy, guest }: OperatorCall, { policies }: Store): Watcher => ({
  permissions: policy.permissions,
  isIn: guest?.isIn ?? (() => policies.all().includes(policy)),
  onEnd: guest?.onEnd ?? (() => () => {}),
});
