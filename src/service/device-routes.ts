// The device API over HTTPS: three routes, each a question to the DeviceApi. Clients differ in small ways; all of
// them get in: any content type or none, any case of the path, a body on a GET, parameters that mean nothing here.

import type { TLSSocket } from "node:tls";
import type { FastifyPluginCallback, FastifyReply, FastifyRequest } from "fastify";
import type { Clock } from "../system/clock.ts";
import { sendDelivered } from "./delivery.ts";
import type { DeviceApi, DeviceRequest } from "./device-api.ts";
import { longestMessage } from "./device-request-body.ts";
import { Refusal } from "./refusal.ts";
import { clientCertificates } from "./tls.ts";

interface DeviceRoute {
  Params: { idScope: string; registrationId: string; operationId?: string };
  Querystring: Record<string, unknown>;
}

const routes = [
  { method: "PUT", url: "/:idScope/registrations/:registrationId/register", operation: "register" },
  {
    method: "GET",
    url: "/:idScope/registrations/:registrationId/operations/:operationId",
    operation: "operation",
  },
  { method: "POST", url: "/:idScope/registrations/:registrationId", operation: "lookup" },
] as const;

export interface DeviceRoutesOptions {
  readonly deviceApi: DeviceApi;
  readonly clock: Clock;
}

export function deviceRoutes(options: DeviceRoutesOptions): FastifyPluginCallback {
  return (app, _options, done) => {
    app.removeAllContentTypeParsers();
    app.addContentTypeParser(
      "*",
      { parseAs: "buffer", bodyLimit: longestMessage },
      (_request, body, parsed) => parsed(null, body),
    );
    for (const { method, url, operation } of routes) {
      app.route<DeviceRoute>({
        method,
        url,
        handler: async (request, reply) => sendAnswer(options, operation, request, reply),
      });
      app.route({
        method: app.supportedMethods.filter((other) => other !== method),
        url,
        handler: async (request, reply) => {
          reply.header("allow", method);
          throw new Refusal(405000, `Method ${request.method} is not allowed here; use ${method}`);
        },
      });
    }
    done();
  };
}

async function sendAnswer(
  { deviceApi, clock }: DeviceRoutesOptions,
  operation: DeviceRequest["operation"],
  request: FastifyRequest<DeviceRoute>,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const { params, query, headers } = request;
  const apiVersion = query["api-version"];
  const answer = await deviceApi.handle({
    transport: "https",
    operation,
    ...params,
    apiVersion: typeof apiVersion === "string" ? apiVersion : undefined,
    body: Buffer.isBuffer(request.body) ? request.body : new Uint8Array(),
    ...(headers.authorization === undefined ? {} : { authorization: headers.authorization }),
    certificates: clientCertificates(request.raw.socket as TLSSocket),
  });
  reply.code(answer.status).header("x-ms-request-id", answer.requestId);
  if (answer.retryAfterSeconds !== undefined) reply.header("retry-after", answer.retryAfterSeconds);
  if (answer.status === 202) {
    const { idScope, registrationId } = params;
    const path = `${encodeURIComponent(idScope)}/registrations/${encodeURIComponent(registrationId)}/register`;
    reply.header("location", `https://${request.host}/${path}`);
  }
  return answer.delivery ? sendDelivered(request, reply, answer, clock) : reply.send(answer.body);
}
