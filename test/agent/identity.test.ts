import { writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { wantedBy } from "../../src/agent/identity.ts";
import type { Assignment } from "../../src/assignment/assignment.ts";
import { loadConfig } from "../../src/config/load.ts";
import type { Config } from "../../src/config/schema.ts";
import { systemClock } from "../../src/system/clock.ts";
import { silentLog } from "../../src/system/log.ts";
import { selfSigned } from "../support/tls-server.ts";

const tools = { clock: systemClock, log: silentLog };
let directory: string;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "mooring-test-identity-"));
  writeFileSync(join(directory, "cert.pem"), selfSigned("gw-1").certificate);
});

afterAll(() => rm(directory, { recursive: true, force: true }));

/** `source = "auto"` with a certificate, and a TPM that is there or not. */
function auto({ tpmIsThere }: { tpmIsThere: boolean }): Config {
  const file = join(directory, "config.toml");
  writeFileSync(
    file,
    `[provisioning]\nid_scope = "0ne00000000"\n` +
      `[identity.tpm]\ntcti = "device:${tpmIsThere ? "/dev/null" : join(directory, "none")}"\n` +
      `[identity.x509]\ncertificate = "cert.pem"\nprivate_key = "key.pem"\n`,
  );
  return loadConfig(file);
}

const saved = (attestation: Assignment["attestation"]): Assignment => ({
  schemaVersion: 1,
  assignedHub: "hub.example",
  deviceId: "gw-1",
  registrationId: "gw-1",
  idScope: "0ne00000000",
  endpoint: "dps.example",
  attestation,
  transport: "https",
  assignedAt: "2026-01-01T00:00:00.000Z",
  publicKeySha256: "aa",
  inputs: "bb",
});

describe("with source = auto", () => {
  it.each([
    [true, undefined, "tpm"],
    [false, undefined, "x509"],
    [false, "tpm", "tpm"],
    [true, "x509", "x509"],
    [true, "tpm", "tpm"],
  ] as const)(
    "a TPM there: %s, assigned by: %s, the identity wanted is of kind %s",
    async (tpmIsThere, before, kind) => {
      const wanted = await wantedBy(auto({ tpmIsThere }), before && saved(before), tools);
      expect(wanted.attestation).toBe(kind);
    },
  );
});
