// The service API, for operators: enrollments, groups and registrations over REST, api-version 2021-10-01.

import type { FastifyPluginAsync, FastifyReply } from "fastify";
import { isKnownApiVersion } from "./api-versions.ts";
import { runBulk } from "./bulk.ts";
import { type EnrollmentKind, groupKind, individualKind } from "./enrollment-kind.ts";
import { enrollmentView } from "./enrollment-view.ts";
import {
  type AnyEnrollment,
  deleteEnrollment,
  findEnrollment,
  putEnrollment,
  verifyMatch,
} from "./enrollments.ts";
import {
  type OperatorApiOptions,
  type OperatorCall,
  type OperatorRoute,
  operatorApi,
} from "./operator-api.ts";
import { cutPage, readPage, verifyQuery } from "./paging.ts";
import { createMeter } from "./quotas.ts";
import { Refusal } from "./refusal.ts";
import { registrationState } from "./registrar.ts";
import { findRegistration } from "./registration-view.ts";
import { keyOf } from "./tables.ts";

/** A plugin for `app.register(serviceApi(…))`; see operatorApi for what it asks of the server. */
export function serviceApi(options: OperatorApiOptions): FastifyPluginAsync {
  const { store, clock } = options;
  const count = createMeter(clock);
  const meter = (): void => count(store.quotas.serviceCallsPerMinute);
  return operatorApi({ ...options, meter }, (authorizedRoute) => {
    const route = versioned(authorizedRoute);
    enrollmentRoutes(route, individualKind, options);
    enrollmentRoutes(route, groupKind, options);
    registrationRoutes(route, options);
  });
}

type VersionedCall = OperatorCall & { readonly apiVersion: string };

/** Azure's own API has versions, and wants one named. */
const versioned =
  (route: OperatorRoute): OperatorRoute<VersionedCall> =>
  (method, path, permission, answer) =>
    route(method, path, permission, (call) => {
      // Named twice, it is a list of them.
      const apiVersion = (call.request.query as Record<string, unknown>)["api-version"];
      if (typeof apiVersion !== "string" || !isKnownApiVersion(apiVersion)) {
        throw new Refusal(400000, apiVersion ? "api-version: not supported" : "api-version: missing");
      }
      return answer({ ...call, apiVersion });
    });

function enrollmentRoutes<Row extends AnyEnrollment>(
  route: OperatorRoute<VersionedCall>,
  kind: EnrollmentKind<Row>,
  { store, log }: OperatorApiOptions,
): void {
  const { plural, idMember } = kind;

  route("PUT", `/${plural}/:id`, "EnrollmentWrite", (call) => {
    const row = putEnrollment(kind, call, { ...call, store });
    log.info("enrollment.saved", { [idMember]: kind.idOf(row), attestation: row.attestation.type });
    return enrollmentView(row, store, { withKeys: true });
  });

  route("GET", `/${plural}/:id`, "EnrollmentRead", ({ id }) =>
    enrollmentView(findEnrollment(kind, store, id), store),
  );

  route("DELETE", `/${plural}/:id`, "EnrollmentWrite", (call) => {
    deleteEnrollment(kind, call, { ...call, store });
    log.info("enrollment.deleted", { [idMember]: call.id });
    return call.reply.code(204).send();
  });

  // Keys are for those who could have set them.
  route(
    "POST",
    `/${plural}/:id/attestationmechanism`,
    "EnrollmentWrite",
    ({ id }) => findEnrollment(kind, store, id).attestation,
  );

  route("POST", `/${plural}/query`, "EnrollmentRead", ({ request, reply }) => {
    verifyQuery(request.body, plural);
    const page = readPage(request.headers, plural);
    const { rows, continuation } = cutPage(page, kind.table(store).page, kind.idOf);
    pageHeaders(reply, kind.itemType, page.limit, continuation);
    return rows.map((row) => enrollmentView(row, store));
  });

  route("POST", `/${plural}`, "EnrollmentWrite", (call) => {
    const result = runBulk(kind, call.body, { ...call, store });
    log.info("enrollment.bulk", { isSuccessful: result.isSuccessful, errors: result.errors.length });
    return result;
  });
}

function registrationRoutes(route: OperatorRoute<VersionedCall>, { store, log }: OperatorApiOptions): void {
  route("GET", "/registrations/:id", "RegistrationStatusRead", ({ id }) =>
    registrationState(findRegistration(store, id)),
  );

  route("DELETE", "/registrations/:id", "RegistrationStatusWrite", ({ id, ifMatch, reply }) => {
    const { etag } = findRegistration(store, id);
    verifyMatch({ etag: Buffer.from(etag).toString("base64") }, ifMatch);
    store.registrations.delete(id);
    log.info("registration.deleted", { registrationId: id });
    return reply.code(204).send();
  });

  route("POST", "/registrations/:id/query", "RegistrationStatusRead", ({ id, request, reply }) => {
    verifyQuery(request.body, "registrations");
    const page = readPage(request.headers, `registrations/${keyOf(id)}`);
    const fetch = store.registrations.pageOfGroup.bind(undefined, id);
    const { rows, continuation } = cutPage(page, fetch, (row) => row.registrationId);
    pageHeaders(reply, "DeviceRegistration", page.limit, continuation);
    return rows.map(registrationState);
  });
}

/** The last page has no continuation. */
function pageHeaders(
  reply: FastifyReply,
  itemType: string,
  limit: number,
  continuation: string | undefined,
): void {
  reply.headers({ "x-ms-item-type": itemType, "x-ms-max-item-count": limit });
  if (continuation !== undefined) reply.header("x-ms-continuation", continuation);
}
