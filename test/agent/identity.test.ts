import { writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { wantedBy, withTpm } from "../../src/agent/identity.ts";
import { loadConfig } from "../../src/config/load.ts";
import type { Config } from "../../src/config/schema.ts";
import { systemClock } from "../../src/system/clock.ts";
import { silentLog } from "../../src/system/log.ts";
import { anAssignment } from "../support/assignments.ts";
import { thrownBy } from "../support/thrown.ts";
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
      const wanted = await wantedBy(
        auto({ tpmIsThere }),
        before && anAssignment({ attestation: before }),
        tools,
      );
      expect(wanted.attestation).toBe(kind);
    },
  );
});

describe("a saved assignment that belongs to a TPM", () => {
  const act = (): Promise<void> => expect.fail("acted without the TPM");
  const signal = new AbortController().signal;

  it("does not take another identity for it while the TPM is not there", async () => {
    const config = auto({ tpmIsThere: false });
    expect((await thrownBy(() => withTpm(config, { ...tools, signal }, act))).code).toMatch(/^ERR_TPM_/);
  });

  it("says so when another identity is configured", async () => {
    const { identity, ...rest } = auto({ tpmIsThere: true });
    const config: Config = { ...rest, identity: { ...identity, source: "x509" } };
    expect((await thrownBy(() => withTpm(config, { ...tools, signal }, act))).code).toBe(
      "ERR_IDENTITY_NOT_FOUND",
    );
  });
});
