// The clock is set in the middle of a provisioning, at every moment of it: through the real agent, handshake and
// service. What TLS makes of it, which reads the machine's own clock, test/e2e/clock.test.ts shows.

import { randomBytes } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { jumpEverywhere, jumps, trueClock } from "../support/clock-jumps.ts";
import { type Device, gatewayHere } from "../support/gateway-in-process.ts";
import { issue, x509Identity } from "../support/pki.ts";

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
      const codes = await jumpEverywhere(await gatewayHere(transport, device, { clock: trueClock }), stepMs);
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
