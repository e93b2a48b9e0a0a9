// The clock is set in the middle of a provisioning, at every moment of it: through the real agent, handshake and
// service. What TLS makes of it, which reads the machine's own clock, test/e2e/clock.test.ts shows.

import { randomBytes } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { loadConfig } from "../../src/config/load.ts";
import type { Config } from "../../src/config/schema.ts";
import { openServiceClient } from "../../src/enrollment/client.ts";
import { parseConnectionString } from "../../src/enrollment/connection-string.ts";
import type { AttestationMechanism } from "../../src/enrollment/record.ts";
import type { RunningService } from "../../src/service/service.ts";
import { jumpEverywhere, jumps, trueClock } from "../support/clock-jumps.ts";
import { issue, x509Identity } from "../support/pki.ts";
import { startServiceHere } from "../support/service-in-process.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

interface Device {
  readonly registrationId: string;
  readonly attestation: AttestationMechanism;
  /** TOML. */
  readonly identity: string;
}

async function enroll(service: RunningService, { registrationId, attestation }: Device): Promise<void> {
  const client = openServiceClient({
    connection: parseConnectionString(service.connectionString),
    ca: readFileSync(service.caFile, "utf8"),
    clock: trueClock,
  });
  const row = { registrationId, attestation };
  await client.enrollments.put(registrationId, row, { signal: AbortSignal.timeout(10_000) });
  client.close();
}

async function configured(transport: string, makeDevice: (directory: string) => Device): Promise<Config> {
  const directory = temporaryDirectory();
  const service = await startServiceHere(join(directory, "service"), { clock: trueClock });
  onTestFinished(() => service.stop());
  const device = makeDevice(directory);
  await enroll(service, device);
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
`,
  );
  return loadConfig(join(directory, "config.toml"));
}

function withCertificate(directory: string): Device {
  const { certificate, certificateFile, keyFile } = issue(directory, "gw");
  return {
    registrationId: "gw",
    attestation: { type: "x509", x509: { clientCertificates: { primary: { certificate } } } },
    identity: x509Identity(certificateFile, keyFile),
  };
}

function withKey(directory: string): Device {
  const key = randomBytes(32).toString("base64");
  const keyFile = join(directory, "key");
  writeFileSync(keyFile, key, { mode: 0o600 });
  return {
    registrationId: "gw",
    attestation: { type: "symmetricKey", symmetricKey: { primaryKey: key, secondaryKey: key } },
    identity: `[identity]\nsource = "symmetric-key"\nregistration_id = "gw"\n[identity.symmetric_key]\nkey_file = "${keyFile}"\n`,
  };
}

describe.each(jumps)("a clock that is set %s at any moment", (_where, stepMs) => {
  it.each([
    ["a certificate over HTTPS", "https", withCertificate],
    ["a certificate over MQTT", "mqtt", withCertificate],
    ["a key over HTTPS", "https", withKey],
    ["a key over MQTT", "mqtt", withKey],
  ])(
    "costs a gateway with %s no assignment, and is named when it fails",
    async (_what, transport, device) => {
      const codes = await jumpEverywhere(await configured(transport, device), stepMs);
      // Over HTTPS tokens are dated by the service's clock. One that is good for years too long is good.
      const isMisdated = device === withKey && transport === "mqtt" && stepMs < 0;
      const expected = new Set<unknown>([undefined]);
      if (device === withCertificate || isMisdated) expected.add("ERR_CLOCK_IMPLAUSIBLE");
      // Years ahead from the start are told from a certificate that is over by nothing at all.
      if (device === withCertificate && stepMs > 0) expected.add("ERR_CERTIFICATE_EXPIRED");
      expect(codes).toEqual(expected);
    },
  );
});
