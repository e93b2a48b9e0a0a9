// One HTTPS server for devices and operators: the device API and the service API side by side, and the same shape
// of error whatever goes wrong before either of them is reached.

import { randomUUID } from "node:crypto";
import { type Server as HttpServer, STATUS_CODES } from "node:http";
import { createServer, type Server, type ServerOptions } from "node:https";
import type { Socket } from "node:net";
import {
  type FastifyError,
  type FastifyPluginAsync,
  type FastifyReply,
  type FastifyRequest,
  fastify,
} from "fastify";
import type { Clock } from "../system/clock.ts";
import type { Log } from "../system/log.ts";
import type { ServerCredential } from "./authority.ts";
import type { DeviceApi } from "./device-api.ts";
import { deviceRoutes } from "./device-routes.ts";
import { Refusal, refusalBody } from "./refusal.ts";
import { tlsOptions } from "./tls.ts";

export interface HttpsServerOptions {
  readonly credential: ServerCredential;
  readonly deviceApi: DeviceApi;
  /** The service API and what else serves operators. */
  readonly operatorApis: readonly FastifyPluginAsync[];
  readonly clock: Clock;
  readonly log: Log;
  readonly limits?: Partial<HttpsLimits>;
}

/** How long the service waits for a client. */
export interface HttpsLimits {
  /** For TLS, from the first byte to the last. */
  readonly handshakeTimeoutMs: number;
  /** For the headers of a request, and for the first request of a connection. */
  readonly headersTimeoutMs: number;
  /** For a whole request. */
  readonly requestTimeoutMs: number;
  /** How often it looks whether anybody exceeds them. */
  readonly checkEveryMs: number;
}

const patience: HttpsLimits = {
  handshakeTimeoutMs: 15_000,
  headersTimeoutMs: 15_000,
  requestTimeoutMs: 30_000,
  checkEveryMs: 5_000,
};

/** A connection outlives the pauses of a polling device. */
const keepAliveTimeoutMs = 65_000;

/** A server that is ready and does not listen yet. */
export async function createHttpsServer(options: HttpsServerOptions): Promise<Server> {
  const { deviceApi, operatorApis, clock, log } = options;

  const refuse = (reply: FastifyReply, refusal: Refusal): FastifyReply => {
    const requestId = randomUUID();
    log.debug("https.refused", { errorCode: refusal.errorCode, requestId, reason: refusal.reason });
    return reply
      .code(refusal.status)
      .header("x-ms-request-id", requestId)
      .send(refusalBody(refusal, { requestId, now: clock.now() }));
  };
  const onError = (error: FastifyError, request: FastifyRequest, reply: FastifyReply): FastifyReply => {
    const refusal = asRefusal(error);
    if (refusal.status >= 500) log.error("https.failed", { method: request.method, error });
    return refuse(reply, refusal);
  };

  const app = fastify({
    // fastify's types would have every plugin say which of Node's servers it is for; this one says it nowhere.
    serverFactory: (handler) => createServer(serverOptions(options), handler) as unknown as HttpServer,
    exposeHeadRoutes: false,
    clientErrorHandler: (error, socket) => refuseClient(error, socket, clock),
    frameworkErrors: onError,
    routerOptions: { caseSensitive: false, ignoreTrailingSlash: true, maxParamLength: 512 },
  });
  app.addHook("onRequest", ({ headers }, reply, done) => {
    // As Azure says it, but to no browser: for all ports of localhost it would refuse plain HTTP from then on.
    const isBrowser = headers["sec-fetch-mode"] !== undefined;
    if (!isBrowser) reply.header("strict-transport-security", "max-age=31536000; includeSubDomains");
    done();
  });
  app.setErrorHandler(onError);
  app.setNotFoundHandler((request, reply) =>
    refuse(reply, new Refusal(404000, `There is nothing at ${request.method} ${request.url.split("?")[0]}`)),
  );
  await app.register(deviceRoutes({ deviceApi, clock }));
  for (const api of operatorApis) await app.register(api);
  await app.ready();
  return app.server as unknown as Server;
}

function serverOptions({ credential, limits }: HttpsServerOptions): ServerOptions {
  const { handshakeTimeoutMs, headersTimeoutMs, requestTimeoutMs, checkEveryMs } = { ...patience, ...limits };
  return {
    ...tlsOptions(credential),
    handshakeTimeout: handshakeTimeoutMs,
    headersTimeout: headersTimeoutMs,
    requestTimeout: requestTimeoutMs,
    connectionsCheckingInterval: checkEveryMs,
    keepAliveTimeout: keepAliveTimeoutMs,
  };
}

/** What did not become a request: too slow, too large, or no HTTP at all. Answered as far as there is a line. */
function refuseClient(error: NodeJS.ErrnoException, socket: Socket, clock: Clock): void {
  const refusal =
    {
      ERR_HTTP_REQUEST_TIMEOUT: new Refusal(408000, "The request took too long."),
      HPE_HEADER_OVERFLOW: new Refusal(431000, "The headers are larger than 16384 bytes."),
    }[error.code ?? ""] ?? new Refusal(400000, "This is not HTTP.");
  const body = JSON.stringify(refusalBody(refusal, { requestId: randomUUID(), now: clock.now() }));
  if (socket.writable && error.code !== "ECONNRESET") {
    socket.write(
      `HTTP/1.1 ${refusal.status} ${STATUS_CODES[refusal.status]}\r\nContent-Type: application/json; charset=utf-8\r\n` +
        `Content-Length: ${body.length}\r\nConnection: close\r\n\r\n${body}`,
    );
  }
  socket.destroy();
}

function asRefusal(error: FastifyError | Refusal): Refusal {
  if (error instanceof Refusal) return error;
  const status = error.statusCode ?? 500;
  return status >= 400 && status < 500
    ? new Refusal(status * 1000, error.message)
    : new Refusal(500000, "The service failed to answer this request", error.message);
}
