// The management API: what a local service has to be told that Azure keeps in its portal. Beside the service API, on
// the same port, for the same policies, with the same shape of errors; it has no versions.

import type { FastifyPluginAsync } from "fastify";
import { eventRoutes } from "./event-routes.ts";
import type { EventStreams } from "./event-streams.ts";
import { putHub, unlinkHub, viewHubs } from "./hubs.ts";
import { type OperatorApiOptions, type OperatorRoute, operatorApi } from "./operator-api.ts";
import { overviewRoutes } from "./overview-routes.ts";
import { rotateKey } from "./policies.ts";
import { readQuotas } from "./quotas.ts";
import type { Policy } from "./records.ts";
import { scenarioRoutes } from "./scenario-routes.ts";

export interface ManagementApiOptions extends OperatorApiOptions {
  /** Called after a key of the policy was replaced. */
  readonly onKeyRotated?: (policy: Policy) => void;
  readonly eventStreams: EventStreams;
}

/** A plugin for `app.register(managementApi(…))`; see operatorApi for what it asks of the server. */
export const managementApi = (options: ManagementApiOptions): FastifyPluginAsync =>
  operatorApi(options, (route) => {
    hubRoutes(route, options);
    policyRoutes(route, options);
    quotaRoutes(route, options);
    scenarioRoutes(route, options);
    overviewRoutes(route, options);
    eventRoutes(route, options);
  });

function hubRoutes(route: OperatorRoute, { store, log }: ManagementApiOptions): void {
  route("GET", "/mooring/hubs", "EnrollmentRead", () => viewHubs(store));

  route("PUT", "/mooring/hubs/:id", "EnrollmentWrite", ({ id, body }) => {
    putHub(store, id, body);
    log.info("hub.saved", { hub: id });
    return viewHubs(store).find(({ hostName }) => hostName.toLowerCase() === id.toLowerCase());
  });

  route("DELETE", "/mooring/hubs/:id", "EnrollmentWrite", ({ id, request, reply }) => {
    const { force } = request.query as { force?: string };
    unlinkHub(store, id, { force: force === "true" });
    log.info("hub.unlinked", { hub: id });
    return reply.code(204).send();
  });
}

function policyRoutes(route: OperatorRoute, { store, log, onKeyRotated }: ManagementApiOptions): void {
  route("GET", "/mooring/policies", "everything", () => store.policies.all());

  route("POST", "/mooring/policies/:id/rotate", "everything", ({ id, body }) => {
    const policy = rotateKey(store, id, body);
    onKeyRotated?.(policy);
    log.info("policy.key-rotated", { policy: policy.name, key: (body as { key: string }).key });
    return policy;
  });
}

function quotaRoutes(route: OperatorRoute, { store, log }: ManagementApiOptions): void {
  route("GET", "/mooring/quotas", "EnrollmentRead", () => store.quotas);

  route("PUT", "/mooring/quotas", "ServiceConfig", ({ body }) => {
    store.setQuotas(readQuotas(body));
    log.info("quotas.changed", { ...store.quotas });
    return store.quotas;
  });
}
