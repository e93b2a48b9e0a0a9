// The local service inside the test's own process: on free ports of this machine, with nobody to talk to.

import { type RunningService, type ServiceOptions, startService } from "../../src/service/service.ts";
import { systemClock } from "../../src/system/clock.ts";
import { silentLog } from "../../src/system/log.ts";

export const startServiceHere = (
  dataDirectory: string,
  change: Partial<ServiceOptions> = {},
): Promise<RunningService> =>
  startService({
    dataDirectory,
    host: "127.0.0.1",
    httpsPort: 0,
    mqttPort: 0,
    hostnames: [],
    hubs: [],
    retryAfterSeconds: 3,
    clock: systemClock,
    log: silentLog,
    ...change,
  });
