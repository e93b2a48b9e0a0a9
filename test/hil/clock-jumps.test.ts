// The clock is set in the middle of a provisioning with a TPM, the challenge included. It dates the tokens that it signs
// by the service's clock, which the challenge brings, so nothing comes of it.

import { expect, it } from "vitest";
import { openTpmIdentity } from "../../src/identity/tpm.ts";
import { silentLog } from "../../src/system/log.ts";
import { jumpEverywhere, jumps, trueClock } from "../support/clock-jumps.ts";
import { type Device, gatewayHere } from "../support/gateway-in-process.ts";
import { tpmIdentity } from "../support/pki.ts";
import { startSwtpm } from "../support/swtpm.ts";

it.each(jumps)("a clock that is set %s at any moment does not matter to a TPM", async (_where, stepMs) => {
  await using swtpm = await startSwtpm();
  const device = async (): Promise<Device> => {
    const identity = await openTpmIdentity({ tcti: swtpm.tcti, log: silentLog });
    const { registrationId, endorsementKey } = identity;
    await identity.tpm.close();
    const tpm = { endorsementKey: endorsementKey.toString("base64") };
    return { registrationId, attestation: { type: "tpm", tpm }, identity: tpmIdentity(swtpm.tcti) };
  };
  const config = await gatewayHere("https", device, { clock: trueClock });
  expect(await jumpEverywhere(config, stepMs, { every: 4 })).toEqual(new Set([undefined]));
});
