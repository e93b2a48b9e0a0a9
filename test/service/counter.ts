// The operators' APIs over a desk: called as over HTTPS, without the sockets.

import { fastify } from "fastify";
import { onTestFinished } from "vitest";
import { createEventStreams } from "../../src/service/event-streams.ts";
import { managementApi } from "../../src/service/management-api.ts";
import { serviceApi } from "../../src/service/service-api.ts";
import { type Desk, openDesk, sasToken } from "./desk.ts";

export const host = "dps.example";

interface Answer {
  status: number;
  headers: Record<string, unknown>;
  // biome-ignore lint/suspicious/noExplicitAny: JSON of many shapes, which each test knows
  body: any;
}

export interface Options {
  headers?: Record<string, string>;
  /** The policy that signs. */
  policy?: string;
  /** What the token is for, encoded. */
  resource?: string;
  expiry?: string;
  authorization?: string;
  version?: string | undefined;
}

export type Call = (
  method: "GET" | "PUT" | "POST" | "DELETE",
  path: string,
  body?: unknown,
  options?: Options,
) => Promise<Answer>;

export async function openCounter(): Promise<Desk & { call: Call }> {
  const desk = openDesk();
  const { store, clock, log } = desk;
  const app = fastify({
    exposeHeadRoutes: false,
    routerOptions: { caseSensitive: false, ignoreTrailingSlash: true, maxParamLength: 512 },
  });
  const eventStreams = createEventStreams({ store });
  onTestFinished(eventStreams.close);
  const options = { store, clock, log, eventStreams };
  await app.register(serviceApi(options));
  await app.register(managementApi(options));
  onTestFinished(() => app.close());
  const call: Call = async (method, path, body, asked = {}) => {
    const {
      policy = "provisioningserviceowner",
      resource = host,
      expiry = "4102444800",
      version = "2021-10-01",
    } = asked;
    const key = store.policies.all().find(({ name }) => name === policy)?.primaryKey ?? "AAAA";
    const authorization = asked.authorization ?? sasToken({ resource, key, expiry, keyName: policy });
    const answer = await app.inject({
      method,
      url: `${path}${version ? `${path.includes("?") ? "&" : "?"}api-version=${version}` : ""}`,
      headers: { host, authorization, "content-type": "application/json; charset=utf-8", ...asked.headers },
      ...(body !== undefined && { payload: typeof body === "string" ? body : JSON.stringify(body) }),
    });
    const text = answer.body;
    return {
      status: answer.statusCode,
      headers: answer.headers,
      body: text === "" ? undefined : JSON.parse(text),
    };
  };
  return { ...desk, call };
}
