// The service API, for operators: enrollments, groups and registrations over REST, api-version 2021-10-01.

import type { FastifyPluginAsync } from "fastify";
import { MooringError } from "../errors.ts";
import type { Clock } from "../system/clock.ts";
import type { Log } from "../system/log.ts";
import type { Store } from "./store.ts";

export interface ServiceApiOptions {
  readonly store: Store;
  readonly clock: Clock;
  readonly log: Log;
}

/**
 * A plugin for `app.register(serviceApi(…))`: it owns its body parsing, error answers and body limit.
 * The server must route without regard to case and trailing slashes, and allow params of 512 characters:
 * `routerOptions: { caseSensitive: false, ignoreTrailingSlash: true, maxParamLength: 512 }`.
 */
export function serviceApi(_options: ServiceApiOptions): FastifyPluginAsync {
  throw new MooringError("ERR_INTERNAL", "the service API is not built yet");
}
