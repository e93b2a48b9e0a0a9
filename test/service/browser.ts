// A browser as the portal's back end sees one: it keeps the cookie, says where its requests come from, and sends the
// token of the session along. And a counter for it: the operators' APIs and the portal on one server, without sockets.

import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type FastifyInstance, fastify } from "fastify";
import { onTestFinished } from "vitest";
import { certificateApi } from "../../src/service/certificate-api.ts";
import { createEventStreams } from "../../src/service/event-streams.ts";
import { managementApi } from "../../src/service/management-api.ts";
import { createPortal, type Portal } from "../../src/service/portal/portal.ts";
import { serviceApi } from "../../src/service/service-api.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";
import { type Desk, openDesk } from "./desk.ts";

export const host = "localhost:8443";

interface Answer {
  readonly status: number;
  readonly headers: Record<string, string | string[] | number | undefined>;
  readonly text: string;
  // biome-ignore lint/suspicious/noExplicitAny: JSON of many shapes, which each test knows
  readonly body: any;
}

interface Question {
  readonly body?: unknown;
  /** Added to what a browser sends by itself; undefined takes one away. */
  readonly headers?: Readonly<Record<string, string | undefined>>;
}

type Method = "GET" | "HEAD" | "PUT" | "POST" | "DELETE";

export interface Browser {
  ask(method: Method, path: string, question?: Question): Promise<Answer>;
  /** As `name=value`; empty without one. */
  cookie: string;
  csrf: string | undefined;
  /** With the primary key of a policy. */
  signIn(policy?: string): Promise<Answer>;
}

export interface PortalCounter extends Desk {
  readonly app: FastifyInstance;
  readonly portal: Portal;
  /** A new one, in which nobody is signed in. */
  browser(): Browser;
}

/** Files of a portal that was built. */
export function builtPortal(files: Readonly<Record<string, string>>): string {
  const directory = join(temporaryDirectory(), "portal");
  mkdirSync(directory);
  for (const [name, text] of Object.entries(files)) writeFileSync(join(directory, name), text);
  return directory;
}

export async function openPortalCounter({
  names = ["localhost", "127.0.0.1", "::1"],
  portalDirectory = builtPortal({ "index.html": "<!doctype html>", "main-6U35BWGN.js": "let a;" }),
}: {
  names?: readonly string[];
  portalDirectory?: string;
} = {}): Promise<PortalCounter> {
  const desk = openDesk();
  const portal = createPortal({ ...desk, names, portalDirectory });
  const eventStreams = createEventStreams(desk);
  onTestFinished(eventStreams.close);
  const operators = { ...desk, signedIn: portal.signedIn, eventStreams };
  const app = fastify({
    exposeHeadRoutes: false,
    routerOptions: { caseSensitive: false, ignoreTrailingSlash: true, maxParamLength: 512 },
  });
  for (const plugin of [
    serviceApi(operators),
    managementApi(operators),
    certificateApi(operators),
    portal.routes,
  ])
    await app.register(plugin);
  onTestFinished(() => app.close());

  const browser = (): Browser => ({
    cookie: "",
    csrf: undefined,
    async ask(method, path, { body, headers } = {}) {
      const sent = {
        host,
        "sec-fetch-site": "same-origin",
        ...(method !== "GET" && method !== "HEAD" && { origin: `https://${host}` }),
        ...(this.cookie && { cookie: this.cookie }),
        ...(this.csrf && { "x-mooring-csrf": this.csrf }),
        ...(body !== undefined && { "content-type": "application/json" }),
        ...headers,
      };
      const known = Object.entries(sent).filter(([, value]) => value !== undefined);
      const answer = await app.inject({
        method,
        url: path,
        headers: Object.fromEntries(known) as Record<string, string>,
        ...(body !== undefined && { payload: typeof body === "string" ? body : JSON.stringify(body) }),
      });
      const text = answer.body;
      const isJson = String(answer.headers["content-type"]).includes("json") && text !== "";
      const setCookie = answer.headers["set-cookie"];
      if (setCookie !== undefined) this.cookie = String(setCookie).split(";", 1)[0] ?? "";
      if (path === "/portal/session" && answer.statusCode === 200) this.csrf = JSON.parse(text).csrf;
      return {
        status: answer.statusCode,
        headers: answer.headers,
        text,
        body: isJson ? JSON.parse(text) : undefined,
      };
    },
    signIn(policy = "provisioningserviceowner") {
      const key = desk.store.policies.all().find(({ name }) => name === policy)?.primaryKey;
      return this.ask("POST", "/portal/session", { body: { policy, key } });
    },
  });
  return { ...desk, app, portal, browser };
}
