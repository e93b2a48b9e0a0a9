// A gateway's configuration for the agent in the test's own process, and a service there that knows its device.

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { loadConfig } from "../../src/config/load.ts";
import type { Config } from "../../src/config/schema.ts";
import { openServiceClient } from "../../src/enrollment/client.ts";
import { parseConnectionString } from "../../src/enrollment/connection-string.ts";
import type { AttestationMechanism } from "../../src/enrollment/record.ts";
import type { RunningService } from "../../src/service/service.ts";
import type { Clock } from "../../src/system/clock.ts";
import { startServiceHere } from "./service-in-process.ts";
import { temporaryDirectory } from "./temporary-directory.ts";

export interface Device {
  readonly registrationId: string;
  readonly attestation: AttestationMechanism;
  /** TOML. */
  readonly identity: string;
}

async function enroll(
  service: RunningService,
  { registrationId, attestation }: Device,
  clock: Clock,
): Promise<void> {
  const client = openServiceClient({
    connection: parseConnectionString(service.connectionString),
    ca: readFileSync(service.caFile, "utf8"),
    clock,
  });
  const row = { registrationId, attestation };
  await client.enrollments.put(registrationId, row, { signal: AbortSignal.timeout(10_000) });
  client.close();
}

/** Everything is gone when the test is over. The service goes by `clock`. */
export async function gatewayHere(
  transport: string,
  makeDevice: (directory: string) => Device | Promise<Device>,
  { clock }: { clock: Clock },
): Promise<Config> {
  const directory = temporaryDirectory();
  const service = await startServiceHere(join(directory, "service"), { clock });
  onTestFinished(() => service.stop());
  const device = await makeDevice(directory);
  await enroll(service, device, clock);
  const { idScope, httpsPort, mqttPort, caFile } = service;
  writeFileSync(
    join(directory, "config.toml"),
    `[provisioning]
endpoint = "localhost"
id_scope = "${idScope}"
ca_file = "${caFile}"
transport = "${transport}"
[provisioning.ports]
https = ${httpsPort}
mqtt = ${mqttPort}
${device.identity}
[state]
directory = "${join(directory, "state")}"
[[outputs]]
path = "${join(directory, "state/hub.json")}"
format = "json"
`,
  );
  return loadConfig(join(directory, "config.toml"));
}
