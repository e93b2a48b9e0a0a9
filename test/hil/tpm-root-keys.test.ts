import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { endorsementCertificateFacts } from "../../src/identity/endorsement-certificate.ts";
import { openTpmIdentity, tpmRegistrationId } from "../../src/identity/tpm.ts";
import { type Log, silentLog } from "../../src/system/log.ts";
import { Secret } from "../../src/system/secret.ts";
import { type Swtpm, startSwtpm } from "../support/swtpm.ts";
import { thrownBy } from "../support/thrown.ts";
import { leftInTpm, withTpm } from "../support/tpm.ts";
import { commandCode, startTpmProxy } from "../support/tpm-proxy.ts";

const ekAttributes = "fixedtpm|fixedparent|sensitivedataorigin|adminwithpolicy|restricted|decrypt";
const srkAttributes = "fixedtpm|fixedparent|sensitivedataorigin|userwithauth|noda|restricted|decrypt";
const ekPolicy = "837197674484b3f81a90cc8d46a5d724fd52d76e06520b64f2a1da1b331469aa";

let swtpm: Swtpm;
beforeEach(async () => {
  swtpm = await startSwtpm();
});
afterEach(() => swtpm.stop());

const file = (name: string): string => join(swtpm.directory, name);

/** TPM2B_PUBLIC of a primary key that tpm2-tools derives from the same seed. */
async function primaryOfTools(
  hierarchy: "e" | "o",
  attributes: string,
  unique: "zeros" | "empty",
): Promise<Buffer> {
  await writeFile(file("policy"), Buffer.from(ekPolicy, "hex"));
  // The file is a length in the byte order of the machine, then the number.
  await writeFile(file("zeros"), Buffer.concat([Buffer.from(Uint16Array.of(256).buffer), Buffer.alloc(256)]));
  await swtpm.tool(
    "tpm2_createprimary",
    ...[
      "-C",
      hierarchy,
      "-G",
      "rsa2048:aes128cfb",
      "-g",
      "sha256",
      "-a",
      attributes,
      "-c",
      file("primary.ctx"),
    ],
    ...(hierarchy === "e" ? ["-L", file("policy")] : []),
    ...(unique === "zeros" ? ["-u", file("zeros")] : []),
  );
  await swtpm.tool("tpm2_readpublic", "-c", file("primary.ctx"), "-o", file("primary.pub"));
  await swtpm.tool("tpm2_flushcontext", "-t");
  return readFile(file("primary.pub"));
}

const rootKeys = (uniqueForm: "zeros" | "empty"): Promise<{ ek: Buffer; srk: Buffer }> =>
  withTpm({ tcti: swtpm.tcti, uniqueForm }, async (tpm) => ({
    ek: await tpm.endorsementKey(),
    srk: await tpm.storageRootKey(),
  }));

describe("the endorsement key and the storage root key", () => {
  it("are those of whoever was first, when several programs find none at the same time", async () => {
    const keys = await Promise.all(Array.from({ length: 3 }, () => rootKeys("zeros")));
    expect(new Set(keys.map(({ ek, srk }) => Buffer.concat([ek, srk]).toString("base64"))).size).toBe(1);
  });

  it("are created when missing, as tpm2_createek makes them, and persist where tpm2_readpublic reads them", async () => {
    const { ek, srk } = await rootKeys("zeros");

    expect(ek.length).toBe(316);
    expect(ek.toString("base64")).toMatch(/^AToAAQALAAMAsgAgg3GXZ0SE/);
    expect(srk.length).toBe(284);
    expect(srk.toString("base64")).toMatch(/^ARoAAQALAAMEcgAAAAYAgABD/);
    await swtpm.tool("tpm2_readpublic", "-c", "0x81010001", "-o", file("read"));
    expect(await readFile(file("read"))).toEqual(ek);
    await swtpm.tool("tpm2_readpublic", "-c", "0x81000001", "-o", file("read"));
    expect(await readFile(file("read"))).toEqual(srk);
    await swtpm.tool("tpm2_createek", "-G", "rsa", "-c", file("ek.ctx"), "-u", file("ek.pub"));
    expect(await readFile(file("ek.pub"))).toEqual(ek);
  });

  it.each(["zeros", "empty"] as const)(
    "have `unique` of %s in their templates when that is configured",
    async (form) => {
      const { ek, srk } = await rootKeys(form);

      expect(await primaryOfTools("e", ekAttributes, form)).toEqual(ek);
      expect(await primaryOfTools("o", srkAttributes, form)).toEqual(srk);
      const other = form === "zeros" ? "empty" : "zeros";
      expect(await primaryOfTools("e", ekAttributes, other)).not.toEqual(ek);
    },
  );

  it("are used as they are found, whatever form is configured, and creation is logged once", async () => {
    const events: string[] = [];
    const log: Log = { ...silentLog, info: (event) => void events.push(event) };
    const read = (uniqueForm: "zeros" | "empty"): Promise<Buffer> =>
      withTpm({ tcti: swtpm.tcti, uniqueForm, log }, (tpm) => tpm.endorsementKey());

    const first = await read("zeros");
    expect(await read("empty")).toEqual(first);
    expect(events).toEqual(["tpm.key-created"]);
  });

  it("leave nothing loaded in the TPM", async () => {
    await rootKeys("zeros");
    expect(await leftInTpm(swtpm)).toBe("");
  });

  it("are not taken from a handle where another object lives, which stays there", async () => {
    await swtpm.tool("tpm2_createprimary", "-C", "o", "-G", "ecc", "-c", file("foreign.ctx"));
    await swtpm.tool("tpm2_evictcontrol", "-C", "o", "-c", file("foreign.ctx"), "0x81010001");
    const before = await swtpm.tool("tpm2_readpublic", "-c", "0x81010001");

    const error = await withTpm({ tcti: swtpm.tcti }, (tpm) => thrownBy(() => tpm.endorsementKey()));

    expect(error.code).toBe("ERR_TPM_HANDLE_OCCUPIED");
    expect(await swtpm.tool("tpm2_readpublic", "-c", "0x81010001")).toBe(before);
  });
});

describe("hierarchies with authorization values", () => {
  beforeEach(async () => {
    await swtpm.tool("tpm2_changeauth", "-c", "owner", "owner-password");
    await swtpm.tool("tpm2_changeauth", "-c", "endorsement", "endorsement-password");
  });

  it("are used with the right values, read from files without their line ends", async () => {
    await writeFile(file("owner"), "owner-password\n");
    await writeFile(file("endorsement"), "endorsement-password");

    const identity = await openTpmIdentity({
      tcti: swtpm.tcti,
      ownerAuthFile: file("owner"),
      endorsementAuthFile: file("endorsement"),
      log: silentLog,
    });
    await identity.tpm.close();

    expect(identity.endorsementKey.length).toBe(316);
  });

  it("refuse a wrong value after one attempt, and never see it in clear", async () => {
    await using proxy = await startTpmProxy(swtpm);
    const wrong = { ownerAuth: new Secret("wrong-password"), endorsementAuth: new Secret("wrong-password") };

    const error = await withTpm({ tcti: proxy.tcti, ...wrong }, (tpm) =>
      thrownBy(() => tpm.storageRootKey()),
    );

    expect(error.code).toBe("ERR_TPM_AUTHORIZATION");
    expect(error.details.rc).toBe(0x9a2);
    const createPrimaryInOwner = proxy.commands.filter(
      (command) =>
        command.readUInt32BE(6) === commandCode.createPrimary && command.readUInt32BE(10) === 0x4000_0001,
    );
    expect(createPrimaryInOwner).toHaveLength(1);
    expect(Buffer.concat(proxy.commands).includes("wrong-password")).toBe(false);
  });

  it("never have their values cross the bus in clear", async () => {
    await using proxy = await startTpmProxy(swtpm);
    const auth = {
      ownerAuth: new Secret("owner-password"),
      endorsementAuth: new Secret("endorsement-password"),
    };

    await withTpm({ tcti: proxy.tcti, ...auth }, async (tpm) => [
      await tpm.storageRootKey(),
      await tpm.endorsementKey(),
    ]);

    const seen = Buffer.concat([...proxy.commands, ...proxy.responses]);
    expect(seen.includes("password")).toBe(false);
    expect(seen.includes(Buffer.from(ekPolicy, "hex"))).toBe(true); // the proxy does see what is not secret
  });

  it("name the file when a value cannot be read", async () => {
    const error = await thrownBy(() =>
      openTpmIdentity({ tcti: swtpm.tcti, ownerAuthFile: file("missing"), log: silentLog }),
    );
    expect(error.code).toBe("ERR_IDENTITY_UNREADABLE");
    expect(error.message).toContain(file("missing"));
  });
});

describe("the identity", () => {
  it("has the registration id of its endorsement key, unless one is configured", async () => {
    const derived = await openTpmIdentity({ tcti: swtpm.tcti, log: silentLog });
    await derived.tpm.close();
    expect(derived.registrationId).toBe(tpmRegistrationId(derived.endorsementKey));
    expect(derived.registrationId).toMatch(/^[a-z2-7]{52}$/);

    const named = await openTpmIdentity({ tcti: swtpm.tcti, nameFor: async () => "gw-0001", log: silentLog });
    await named.tpm.close();
    expect(named.registrationId).toBe("gw-0001");
    expect(named.publicKeySha256).toBe(derived.publicKeySha256);
  });

  it("has no endorsement certificate when the TPM carries none", async () => {
    const identity = await openTpmIdentity({ tcti: swtpm.tcti, log: silentLog });
    expect(await endorsementCertificateFacts(identity, { log: silentLog })).toBeUndefined();
    await identity.tpm.close();
  });

  it("describes the TPM as tpm2_getcap does", async () => {
    const description = await withTpm({ tcti: swtpm.tcti }, (tpm) => tpm.describe());
    const fixed = await swtpm.tool("tpm2_getcap", "properties-fixed");
    const variable = await swtpm.tool("tpm2_getcap", "properties-variable");

    const value = (text: string, property: string): string | undefined =>
      new RegExp(`${property}:\\s+(?:raw: )?(0x[0-9A-F]+)`, "i").exec(text)?.[1];
    expect(description.manufacturer).toBe("IBM");
    expect(value(fixed, "TPM2_PT_MANUFACTURER")).toBe("0x49424D00");
    expect(description.lockoutLimit).toBe(Number(value(variable, "TPM2_PT_MAX_AUTH_FAIL")));
    expect(description.lockoutIntervalSeconds).toBe(Number(value(variable, "TPM2_PT_LOCKOUT_INTERVAL")));
    expect(description.inLockout).toBe(false);
    expect(description.isOwnerAuthSet).toBe(false);
    expect(description.transientSlotsFree).toBe(3);
  });
});

describe("an endorsement certificate in NV", () => {
  it("is read, and checked against the endorsement key in use", async () => {
    await using certified = await startSwtpm({ endorsementCertificate: true });
    const warnings: string[] = [];
    const log: Log = { ...silentLog, warn: (event) => void warnings.push(event) };

    const identity = await openTpmIdentity({ tcti: certified.tcti, log });
    const facts = await endorsementCertificateFacts(identity, { log });
    const der = await identity.tpm.endorsementCertificate();
    await identity.tpm.close();

    expect(facts).toMatchObject({ issuer: "CN=swtpm-localca", isOfEndorsementKey: true });
    expect(warnings).toEqual([]);
    await certified.tool("tpm2_nvread", "0x1c00002", "-o", join(certified.directory, "nv"));
    const nv = await readFile(join(certified.directory, "nv"));
    expect(nv.subarray(0, der?.length)).toEqual(der);
  });

  it("that belongs to another key is reported as such", async () => {
    await using certified = await startSwtpm({ endorsementCertificate: true });
    await certified.tool("tpm2_evictcontrol", "-C", "o", "-c", "0x81010001");
    const warnings: string[] = [];
    const log: Log = { ...silentLog, warn: (event) => void warnings.push(event) };

    const identity = await openTpmIdentity({ tcti: certified.tcti, template: "empty", log });
    const facts = await endorsementCertificateFacts(identity, { log });
    await identity.tpm.close();

    expect(facts?.isOfEndorsementKey).toBe(false);
    expect(warnings).toEqual(["identity.endorsement-certificate-mismatch"]);
  });
});
