// The portal: a page for the people who manage enrollments, served by the service itself, and the door to it.

import type { FastifyPluginAsync } from "fastify";
import type { Clock } from "../../system/clock.ts";
import type { Log } from "../../system/log.ts";
import { operatorApi } from "../operator-api.ts";
import { azureTime } from "../stamps.ts";
import type { Store } from "../store.ts";
import { createPortalDoor, type Guest } from "./door.ts";
import { readPages } from "./pages.ts";
import { portalRoutes } from "./routes.ts";
import type { BrowserRequest } from "./same-origin.ts";

export interface PortalOptions {
  readonly store: Store;
  readonly clock: Clock;
  readonly log: Log;
  /** Names and addresses of this service, without port. */
  readonly names: readonly string[];
  /** Where its built pages are, when not beside the bundle. */
  readonly portalDirectory?: string;
}

export interface Portal {
  readonly routes: FastifyPluginAsync;
  /** A browser that is signed in; throws when the request was not meant by its user. */
  signedIn(request: BrowserRequest): Guest | undefined;
  /** A one-time link for `address`, which is host and port as in a browser. */
  newLink(address: string): string;
  /** Signs everybody out. */
  close(): void;
}

export function createPortal({ store, clock, log, names, portalDirectory }: PortalOptions): Portal {
  const door = createPortalDoor({
    clock,
    names,
    policies: () => store.policies.all(),
  });
  const linkTo = (address: string, token: string): string => `https://${address}/portal/#token=${token}`;

  const linkRoutes = operatorApi({ store, clock, log, signedIn: door.guest }, (route) =>
    route("POST", "/mooring/portal-links", "everything", ({ request }) => {
      const { token, expiresAt } = door.links.issue();
      return { url: linkTo(request.host, token), expiresAtUtc: azureTime(expiresAt) };
    }),
  );

  return {
    routes: async (app) => {
      await app.register(portalRoutes({ door, pages: readPages(portalDirectory), log }));
      await app.register(linkRoutes);
    },
    signedIn: door.guest,
    newLink: (address) => linkTo(address, door.links.issue().token),
    close: door.close,
  };
}
