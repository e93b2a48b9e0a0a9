// What a browser asks of the portal itself: its files, and who is signed in.

import type { FastifyInstance, FastifyPluginAsync, FastifyReply, FastifyRequest } from "fastify";
import * as v from "valibot";
import type { Log } from "../../system/log.ts";
import { jsonObject, readInput } from "../json-input.ts";
import { parseBodies } from "../operator-api.ts";
import { Refusal, Throttled } from "../refusal.ts";
import type { PortalDoor, SignIn } from "./door.ts";
import type { Page } from "./pages.ts";
import type { Session } from "./sessions.ts";

export interface PortalRoutesOptions {
  readonly door: PortalDoor;
  readonly pages: ReadonlyMap<string, Page>;
  readonly log: Log;
}

/** The page runs our script and style, talks to us, and is shown in no frame; everything else is off. */
const strictHeaders = {
  "content-security-policy":
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
    "font-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
  "x-content-type-options": "nosniff",
  "referrer-policy": "no-referrer",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
  "permissions-policy":
    "camera=(), display-capture=(), geolocation=(), microphone=(), midi=(), payment=(), usb=(), serial=()",
};

const sessionPath = "/portal/session";

/** No credential is longer. */
const bodyLimit = 4096;

export const portalRoutes =
  ({ door, pages, log }: PortalRoutesOptions): FastifyPluginAsync =>
  async (app) => {
    app.addHook("onRequest", async (_request, reply) => void reply.headers(strictHeaders));
    parseBodies(app);
    pageRoutes(app, door, pages);
    sessionRoutes(app, door, log);
  };

function pageRoutes(app: FastifyInstance, door: PortalDoor, pages: ReadonlyMap<string, Page>): void {
  const get = (url: string, handler: (request: FastifyRequest, reply: FastifyReply) => FastifyReply): void =>
    void app.route({ method: ["GET", "HEAD"], url, handler });

  // Devices and programs that knock at the root are told that nothing is there, as ever.
  get("/", (request, reply) => {
    if (!request.headers.accept?.includes("text/html")) {
      throw new Refusal(404000, `There is nothing at ${request.method} /`);
    }
    door.verifyAddress(request);
    return reply.header("vary", "Accept").redirect("/portal/");
  });
  const getPage = (url: string): void =>
    get(url, (request, reply) => {
      door.verifyAddress(request);
      const { file = "index.html" } = request.params as { file?: string };
      return sendPage(pages, file, request, reply);
    });
  getPage("/portal");
  getPage("/portal/:file");
}

function sendPage(
  pages: ReadonlyMap<string, Page>,
  name: string,
  { headers }: FastifyRequest,
  reply: FastifyReply,
): FastifyReply {
  const page = pages.get(name);
  if (!page) {
    throw new Refusal(
      404000,
      pages.size > 0
        ? "The portal has no such page."
        : "The portal was not built: run `npm run build` first.",
    );
  }
  reply.headers(page.headers);
  const known = headers["if-none-match"]?.split(",").some((etag) => etag.trim() === page.headers.etag);
  return known ? reply.code(304).send() : reply.send(page.body);
}

function sessionRoutes(app: FastifyInstance, door: PortalDoor, log: Log): void {
  app.addHook("onRequest", async ({ routeOptions }, reply) => {
    if (routeOptions.url === sessionPath) reply.header("cache-control", "no-store");
  });

  app.get(sessionPath, (request, reply) => {
    const guest = door.guest(request);
    if (!guest) throw new Refusal(401002, "Nobody is signed in.");
    return reply.send(view(guest));
  });

  app.post(sessionPath, { bodyLimit }, (request, reply) => {
    const credential = readCredential(request.body);
    const fields = { address: request.ip, by: "token" in credential ? "link" : "key" };
    try {
      const { cookie, session } = door.signIn(request, request.ip, credential);
      log.info("portal.signed-in", { ...fields, policy: session.policy.name });
      return reply.header("set-cookie", cookie).send(view(session));
    } catch (error) {
      if (error instanceof Throttled) reply.header("retry-after", error.retryAfterSeconds);
      if (error instanceof Refusal) log.warn("portal.refused", { ...fields, code: error.errorCode });
      throw error;
    }
  });

  app.delete(sessionPath, (request, reply) => {
    const { cookie } = door.signOut(request);
    return reply.header("set-cookie", cookie).code(204).send();
  });
}

const view = ({ policy, csrf }: Session): unknown => ({
  policy: policy.name,
  permissions: policy.permissions,
  csrf,
});

const text = v.nullish(v.string());
const credential = jsonObject({ policy: text, key: text, token: text });

function readCredential(body: unknown): SignIn {
  const { policy, key, token } = readInput(credential, body);
  if (token) return { token };
  if (policy && key) return { policy, key };
  throw new Refusal(400000, "Give a policy and one of its keys, or the token of a link.");
}
