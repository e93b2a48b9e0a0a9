// What the service API and the management API have in common: every route is authorised before anything else is
// looked at, bodies are JSON, and refusals have Azure's shape.

import { randomUUID } from "node:crypto";
import type { FastifyInstance, FastifyPluginAsync, FastifyReply, FastifyRequest } from "fastify";
import type { Clock } from "../system/clock.ts";
import type { Log } from "../system/log.ts";
import { parseJson } from "./json-input.ts";
import type { Guest } from "./portal/door.ts";
import type { Policy } from "./records.ts";
import { Refusal, refusalBody, Throttled } from "./refusal.ts";
import { authorize, type NeededPermission } from "./service-authorization.ts";
import type { Store } from "./store.ts";

export interface OperatorApiOptions {
  readonly store: Store;
  readonly clock: Clock;
  readonly log: Log;
  /** Recognises a browser that is signed in to the portal; throws when what it sends is not meant by its user. */
  readonly signedIn?: (request: FastifyRequest) => Guest | undefined;
  /**
   * Called for each call that is authorised, but for those of the portal, which asks as often as devices register;
   * throws Throttled for one too many.
   */
  readonly meter?: () => void;
}

/** Who is known to ask. */
interface Caller {
  /** Under which the call is made. */
  readonly policy: Policy;
  /** When it is the call of a browser that is signed in. */
  readonly guest: Guest | undefined;
}

export interface OperatorCall extends Caller {
  /** The `:id` of the path, or empty. */
  readonly id: string;
  readonly body: unknown;
  readonly ifMatch: string | undefined;
  readonly now: number;
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
 * A plugin that owns its body parsing (JSON, unless `parse` says otherwise), its error answers and its body limit;
 * `addRoutes` gives it its routes. The server must route without regard to case and trailing slashes, add no routes of
 * its own, and allow params of 512 characters: `routerOptions: { caseSensitive: false, ignoreTrailingSlash: true,
 * maxParamLength: 512 }` and `exposeHeadRoutes: false`.
 */
export function operatorApi(
  options: OperatorApiOptions,
  addRoutes: (route: OperatorRoute) => void,
  { parse = parseBodies }: { parse?: (app: FastifyInstance) => void } = {},
): FastifyPluginAsync {
  const { store, clock, signedIn = () => undefined, meter = () => {} } = options;
  const callers = new WeakMap<FastifyRequest, Caller>();
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
    parse(app);
    answerErrors(app, options);
    const methods = new Map<string, string[]>();
    addRoutes((method, url, permission, answer) => {
      methods.set(url, [...(methods.get(url) ?? []), method]);
      app.route({
        method,
        url,
        bodyLimit,
        // Before the body is read: strangers are not listened to for four megabytes.
        onRequest: async (request) => {
          const path = request.url.split("?", 1)[0] ?? "";
          const { authorization, host } = request.headers;
          const guest = authorization === undefined ? signedIn(request) : undefined;
          const call = { authorization, host, path, now: clock.now(), signedIn: guest?.policy };
          callers.set(request, { policy: authorize(call, store.policies.all(), permission), guest });
          if (guest === undefined) meter();
        },
        handler: (request, reply) => {
          const { id = "" } = request.params as { id?: string };
          const ifMatch = request.headers["if-match"];
          const caller = callers.get(request) as Caller;
          return answer({ id, body: request.body, ifMatch, now: clock.now(), ...caller, request, reply });
        },
      });
    });
    for (const [url, allowed] of methods) refuseOtherMethods(app, url, allowed, [...methods.keys()]);
  };
}

/** With 405, unless what looks like a path of its own may be somebody's id, as in `/enrollments/query`. */
function refuseOtherMethods(
  app: FastifyInstance,
  url: string,
  allowed: readonly string[],
  urls: readonly string[],
): void {
  if (!url.endsWith("/:id") && urls.includes(url.replace(/[^/]+$/, ":id"))) return;
  app.route({
    method: app.supportedMethods.filter((method) => !allowed.includes(method)),
    url,
    handler: (request, reply) => {
      reply.header("allow", allowed.join(", "));
      throw new Refusal(405000, `Method ${request.method} is not allowed here; use ${allowed.join(" or ")}`);
    },
  });
}

/** JSON whatever its content type says; some clients say JSON and send nothing. */
export function parseBodies(app: FastifyInstance): void {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser("*", { parseAs: "string" }, (_request, text, done) => {
    try {
      done(null, parseJson(text as string));
    } catch (error) {
      done(error as Refusal);
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
    if (refusal instanceof Throttled) reply.header("retry-after", refusal.retryAfterSeconds);
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
