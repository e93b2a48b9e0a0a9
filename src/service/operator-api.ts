// What the service API and the management API have in common: every route is authorised before anything else is
// looked at, bodies are JSON, and refusals have Azure's shape.

import { randomUUID } from "node:crypto";
import type { FastifyInstance, FastifyPluginAsync, FastifyReply, FastifyRequest } from "fastify";
import type { Clock } from "../system/clock.ts";
import type { Log } from "../system/log.ts";
import type { Guest } from "./portal/door.ts";
import type { Policy } from "./records.ts";
import { Refusal, refusalBody } from "./refusal.ts";
import { authorize, type NeededPermission } from "./service-authorization.ts";
import type { Store } from "./store.ts";

export interface OperatorApiOptions {
  readonly store: Store;
  readonly clock: Clock;
  readonly log: Log;
  /** Recognises a browser that is signed in to the portal; throws when what it sends is not meant by its user. */
  readonly signedIn?: (request: FastifyRequest) => Guest | undefined;
}

export interface OperatorCall {
  /** The `:id` of the path, or empty. */
  readonly id: string;
  readonly body: unknown;
  readonly ifMatch: string | undefined;
  readonly now: number;
  /** Under which the call is made. */
  readonly policy: Policy;
  /** When it is the call of a browser that is signed in. */
  readonly guest: Guest | undefined;
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
}

/** Adds a route. What `answer` returns is sent as JSON. */
export type OperatorRoute<Call = OperatorCall> = (
  method: "GET" | "PUT" | "POST" | "DELETE",
  path: string,
  permission: NeededPermission,
  answer: (call: Call) => unknown,
) => void;

/** Ten enrollments with two certificates and a twin each fit well. */
const bodyLimit = 4 * 1024 * 1024;

const requestIdHeader = "x-ms-request-id";

/**
 * A plugin that owns its body parsing, its error answers and its body limit; `addRoutes` gives it its routes.
 * The server must route without regard to case and trailing slashes, and allow params of 512 characters:
 * `routerOptions: { caseSensitive: false, ignoreTrailingSlash: true, maxParamLength: 512 }`.
 */
export function operatorApi(
  options: OperatorApiOptions,
  addRoutes: (route: OperatorRoute) => void,
): FastifyPluginAsync {
  const { store, clock, signedIn = () => undefined } = options;
  return async (app) => {
    app.addHook("onRequest", async (_request, reply) => {
      // A browser keeps no copy of what may hold keys, and takes it for nothing but data.
      reply.headers({
        [requestIdHeader]: randomUUID(),
        "cache-control": "no-store",
        "x-content-type-options": "nosniff",
        "cross-origin-resource-policy": "same-origin",
      });
    });
    parseBodies(app);
    answerErrors(app, options);
    addRoutes((method, url, permission, answer) => {
      app.route({
        method,
        url,
        bodyLimit,
        handler: (request, reply) => {
          const now = clock.now();
          const path = request.url.split("?", 1)[0] ?? "";
          const { authorization, host, "if-match": ifMatch } = request.headers;
          const guest = authorization === undefined ? signedIn(request) : undefined;
          const call = { authorization, host, path, now, signedIn: guest?.policy };
          const policy = authorize(call, store.policies.all(), permission);
          const { id = "" } = request.params as { id?: string };
          return answer({ id, body: request.body, ifMatch, now, policy, guest, request, reply });
        },
      });
    });
  };
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

function answerErrors(app: FastifyInstance, { clock, log }: OperatorApiOptions): void {
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
