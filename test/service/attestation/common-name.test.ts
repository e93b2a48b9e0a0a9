import { X509Certificate } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { commonName } from "../../../src/service/attestation/common-name.ts";
import { type KeyType, makeCertificate, makeKey, openssl } from "../../support/openssl.ts";
import { directoryOfFile } from "../sockets.ts";

const directory = directoryOfFile();

const read = (file: string): X509Certificate => new X509Certificate(readFileSync(file));

it.each<[string, string | undefined]>([
  ["/CN=gw-1", "gw-1"],
  ["/C=DE/O=Acme/OU=Plant 7/CN=gw-1", "gw-1"],
  ["/CN=gw-1/O=Acme/emailAddress=a@b.example", "gw-1"],
  ["/O=CN=gw-2/CN=gw-1", "gw-1"],
  ["/CN=gw-1, O=Acme", "gw-1, O=Acme"],
  ["/CN=gw\\/1", "gw/1"],
  ["/CN=Gerät", "Gerät"],
  ["/CN=gw-1+OU=x", "gw-1"],
  ["/CN=", undefined],
  ["/O=Acme", undefined],
  ["/", undefined],
  ["/CN=gw-1/CN=gw-2", undefined],
])("the common name of %s is %s", (subject, name) => {
  const key = makeKey(directory, "key", "EC P-256");
  const csr = join(directory, "csr");
  openssl("req", "-new", "-utf8", "-multivalue-rdn", "-key", key, "-subj", subject, "-out", csr);
  const file = join(directory, "certificate");
  openssl("x509", "-req", "-in", csr, "-signkey", key, "-out", file);
  expect(commonName(read(file))).toBe(name);
});

it.each<[string]>([["nombstr"], ["pkix"], ["utf8only"], ["default"]])(
  "is the same in every kind of string: %s",
  (mask) => {
    const key = makeKey(directory, "key", "EC P-256");
    const [config, file] = [join(directory, "config"), join(directory, "certificate")];
    const section = `[req]\ndistinguished_name = name\nprompt = no\nstring_mask = ${mask}\n[name]\nCN = gw-1\n`;
    writeFileSync(config, section);
    openssl("req", "-x509", "-new", "-config", config, "-key", key, "-out", file);
    expect(commonName(read(file))).toBe("gw-1");
  },
);

// toLegacyObject() of Node 24 ends the process here.
it.each<KeyType>(["EC secp256k1", "ed25519", "RSA 2048"])("is read beside any key: %s", (kind) => {
  const key = makeKey(directory, "odd.key", kind);
  expect(commonName(read(makeCertificate(directory, "odd.pem", { key, subject: "/CN=gw-1" })))).toBe("gw-1");
});

it("is nothing when the DER is not what it should be, and never takes long", () => {
  const der = read(
    makeCertificate(directory, "cut.pem", {
      key: makeKey(directory, "cut.key", "EC P-256"),
      subject: "/CN=gw-1",
    }),
  ).raw;
  for (let length = 0; length < der.length; length++) {
    const raw = Buffer.from(der.subarray(0, length));
    expect(commonName({ raw } as X509Certificate)).toBeUndefined();
  }
  expect(commonName({ raw: Buffer.alloc(1_000_000, 0x30) } as X509Certificate)).toBeUndefined();
});
