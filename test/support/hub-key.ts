// Whether the TPM holds the key by which the hub knows the device: tpm2-tools let the TPM sign, software signs with what
// the service stored, and the two have to agree.

import { createHmac } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect } from "vitest";
import type { LocalService } from "./local-service.ts";
import type { Swtpm } from "./swtpm.ts";

export const hubKeyHandle = "0x81000100";

/** The key that the service made for the device and gave the hub. */
export function hubKeyOf(service: LocalService, deviceId: string): Buffer {
  const { authentication } = service.stored("device", deviceId) as { authentication: { primaryKey: string } };
  return Buffer.from(authentication.primaryKey, "base64");
}

export async function expectHubKeyInTpm(
  swtpm: Swtpm,
  service: LocalService,
  deviceId: string,
): Promise<void> {
  const signed = `hub.example%2fdevices%2f${deviceId}\n1789000000`;
  writeFileSync(join(swtpm.directory, "message"), signed);
  await swtpm.tool("tpm2_hmac", "-c", hubKeyHandle, "-o", "hmac", "message");
  const byTpm = readFileSync(join(swtpm.directory, "hmac")).toString("hex");
  const bySoftware = createHmac("sha256", hubKeyOf(service, deviceId)).update(signed).digest("hex");
  expect(byTpm).toBe(bySoftware);
}
