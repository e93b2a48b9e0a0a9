// What the service seals, a TPM opens: swtpm, driven by tpm2-tools alone.

import { createHmac, randomBytes } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { sealAuthenticationKey } from "../../src/service/attestation/authentication-key.ts";
import { readEndorsementKey, readStorageRootKey } from "../../src/service/attestation/tpm-public.ts";
import { startSwtpm } from "../support/swtpm.ts";

const ek = "0x81010001";
const srk = "0x81000001";
const srkAttributes = "fixedtpm|fixedparent|sensitivedataorigin|userwithauth|noda|restricted|decrypt";
/** What tpm2_activatecredential writes in front of the two fields. */
const credentialHeader = Buffer.from("badcc0de00000001", "hex");

it("an authentication key is activated, imported and used by tpm2-tools", async () => {
  const tpm = await startSwtpm();
  onTestFinished(() => tpm.stop());
  const { tool } = tpm;
  const file = (name: string): string => join(tpm.directory, name);
  await tool("tpm2_createek", "-c", ek, "-G", "rsa", "-u", "ek.pub");
  await tool(
    "tpm2_createprimary",
    "-C",
    "o",
    "-c",
    "srk.ctx",
    "-G",
    "rsa2048:aes128cfb",
    "-a",
    srkAttributes,
  );
  await tool("tpm2_evictcontrol", "-C", "o", "-c", "srk.ctx", srk);
  await tool("tpm2_flushcontext", "-t");
  await tool("tpm2_readpublic", "-c", ek, "-o", "ek.pub");
  await tool("tpm2_readpublic", "-c", srk, "-o", "srk.pub");

  const key = randomBytes(32);
  const sealed = sealAuthenticationKey({
    endorsementKey: readEndorsementKey(await readFile(file("ek.pub"), "base64"), "ek"),
    storageRootKey: readStorageRootKey(await readFile(file("srk.pub"), "base64"), "srk"),
    key,
    resource: "0ne00012345/registrations/gw-1",
  });
  const [credential, seed, duplicate, duplicateSeed, area] = cut(Buffer.from(sealed, "base64"));
  await writeFile(file("credential"), Buffer.concat([credentialHeader, credential, seed]));
  await writeFile(file("duplicate"), duplicate);
  await writeFile(file("duplicate.seed"), duplicateSeed);
  await writeFile(file("key.pub"), area);

  await tool("tpm2_startauthsession", "--policy-session", "-S", "session");
  await tool("tpm2_policysecret", "-S", "session", "-c", "e");
  const activate = ["-c", srk, "-C", ek, "-i", "credential", "-o", "inner.key", "-P", "session:session"];
  await tool("tpm2_activatecredential", ...activate);
  await tool("tpm2_flushcontext", "session");
  const importing = [
    "-C",
    srk,
    "-u",
    "key.pub",
    "-i",
    "duplicate",
    "-s",
    "duplicate.seed",
    "-k",
    "inner.key",
  ];
  await tool("tpm2_import", ...importing, "-G", "hmac", "-r", "key.priv");
  await tool("tpm2_load", "-C", srk, "-u", "key.pub", "-r", "key.priv", "-c", "key.ctx");

  const message = "0ne00012345%2Fregistrations%2Fgw-1\n1893456000";
  await writeFile(file("message"), message);
  await tool("tpm2_hmac", "-c", "key.ctx", "-g", "sha256", "-o", "signature", "message");
  expect(await readFile(file("signature"))).toEqual(createHmac("sha256", key).update(message).digest());
});

/** The first five fields, each with its size in front as tpm2-tools want it. */
function cut(sealed: Buffer): [Buffer, Buffer, Buffer, Buffer, Buffer] {
  const fields: Buffer[] = [];
  for (let at = 0; fields.length < 5; at += fields.at(-1)?.length ?? 0) {
    fields.push(sealed.subarray(at, at + 2 + sealed.readUInt16BE(at)));
  }
  return fields as [Buffer, Buffer, Buffer, Buffer, Buffer];
}
