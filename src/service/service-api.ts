// The service API, for operators: enrollments, groups and registrations over REST, api-version 2021-10-01.

import { randomUUID } from "node:crypto";
import type { FastifyInstance, FastifyPluginAsync, FastifyReply, FastifyRequest } from "fastify";
import type { Clock } from "../system/clock.ts";
import type { Log } from "../system/log.ts";
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
import { cutPage, readPage, verifyQuery } from "./paging.ts";
import type { Permission, Registration } from "./records.ts";
import { Refusal, refusalBody } from "./refusal.ts";
import { registrationState } from "./registrar.ts";
import { authorize } from "./service-authorization.ts";
import type { Store } from "./store.ts";

export interface ServiceApiOptions {
  readonly store: Store;
  readonly clock: Clock;
  readonly log: Log;
}

/** Ten enrollments with two certificates and a twin each fit well. */
const bodyLimit = 4 * 1024 * 1024;

const requestIdHeader = "x-ms-request-id";

/**
 * A plugin for `app.register(serviceApi(…))`: it owns its body parsing, its error answers and its body limit.
 * The server must route without regard to case and trailing slashes, and allow params of 512 characters:
 * `routerOptions: { caseSensitive: false, ignoreTrailingSlash: true, maxParamLength: 512 }`.
 */
export function serviceApi(options: ServiceApiOptions): FastifyPluginAsync {
  return async (app) => {
    app.addHook("onRequest", async (_request, reply) => {
      reply.header(requestIdHeader, randomUUID());
    });
    parseBodies(app);
    answerErrors(app, options);
    enrollmentRoutes(app, individualKind, options);
    enrollmentRoutes(app, groupKind, options);
    registrationRoutes(app, options);
  };
}

interface Call {
  readonly id: string;
  readonly body: unknown;
  readonly ifMatch: string | undefined;
  readonly apiVersion: string;
  readonly now: number;
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
}

/** A route that is authorised before anything else is looked at. What `answer` returns is sent as JSON. */
type Route = (
  method: "GET" | "PUT" | "POST" | "DELETE",
  path: string,
  permission: Permission,
  answer: (call: Call) => unknown,
) => void;

const routesOf =
  (app: FastifyInstance, { store, clock }: ServiceApiOptions): Route =>
  (method, url, permission, answer) => {
    app.route({
      method,
      url,
      bodyLimit,
      handler: (request, reply) => {
        const now = clock.now();
        const path = request.url.split("?", 1)[0] ?? "";
        authorize(
          { authorization: request.headers.authorization, host: request.headers.host, path, now },
          store.policies,
          permission,
        );
        const apiVersion = (request.query as Record<string, string | undefined>)["api-version"];
        if (!isKnownApiVersion(apiVersion)) {
          throw new Refusal(400000, apiVersion ? "api-version: not supported" : "api-version: missing");
        }
        const { id = "" } = request.params as { id?: string };
        const ifMatch = request.headers["if-match"];
        return answer({ id, body: request.body, ifMatch, apiVersion, now, request, reply });
      },
    });
  };

function enrollmentRoutes<Row extends AnyEnrollment>(
  app: FastifyInstance,
  kind: EnrollmentKind<Row>,
  options: ServiceApiOptions,
): void {
  const { store, log } = options;
  const route = routesOf(app, options);
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
    const page = readPage(request.headers);
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

function registrationRoutes(app: FastifyInstance, options: ServiceApiOptions): void {
  const { store, log } = options;
  const route = routesOf(app, options);

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
    const page = readPage(request.headers);
    const fetch = store.registrations.pageOfGroup.bind(undefined, id);
    const { rows, continuation } = cutPage(page, fetch, (row) => row.registrationId);
    pageHeaders(reply, "DeviceRegistration", page.limit, continuation);
    return rows.map(registrationState);
  });
}

function findRegistration(store: Store, id: string): Registration {
  const registration = store.registrations.get(id);
  if (!registration)
    throw new Refusal(404202, `Registration not found: registrationId ${JSON.stringify(id)}.`);
  return registration;
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

/** JSON whatever its content type says; some clients say JSON and send nothing. */
function parseBodies(app: FastifyInstance): void {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser("*", { parseAs: "string" }, (_request, text, done) => {
    try {
      done(null, (text as string).trim() === "" ? undefined : JSON.parse(text as string));
    } catch {
      done(new Refusal(400000, "The body is not valid JSON."));
    }
  });
}

function answerErrors(app: FastifyInstance, { clock, log }: ServiceApiOptions): void {
  app.setErrorHandler((error: Error & { statusCode?: number }, request, reply) => {
    const requestId = String(reply.getHeader(requestIdHeader));
    const refusal = asRefusal(error);
    const fields = {
      method: request.method,
      path: request.url.split("?", 1)[0],
      requestId,
      code: refusal.errorCode,
    };
    if (refusal.status < 500) log.warn("service-api.refused", { ...fields, reason: refusal.reason });
    else log.error("service-api.error", { ...fields, error });
    return reply.code(refusal.status).send(refusalBody(refusal, { requestId, now: clock.now() }));
  });
}

/** Fastify's own complaints, such as a body that is too large, keep their status. */
function asRefusal(error: Error & { statusCode?: number }): Refusal {
  if (error instanceof Refusal) return error;
  const { statusCode = 500 } = error;
  if (statusCode < 400 || statusCode > 499) return new Refusal(500000, "Internal server error.");
  return new Refusal(statusCode * 1000, error.message);
}
