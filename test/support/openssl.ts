// Keys, certificates and archives as the openssl command makes them: the other party of the identity tests.

import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";

export const openssl = (...args: string[]): string =>
  execFileSync("openssl", args, { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });

/** This openssl cannot be told a date to begin with. */
const opensslAt = (time: string, ...args: string[]): string =>
  time === "+0d"
    ? openssl(...args)
    : execFileSync("faketime", ["-f", time, "openssl", ...args], { encoding: "utf8", stdio: "pipe" });

const generation = {
  "RSA 1024": ["RSA", "rsa_keygen_bits:1024"],
  "RSA 2048": ["RSA", "rsa_keygen_bits:2048"],
  "RSA 3072": ["RSA", "rsa_keygen_bits:3072"],
  "EC P-256": ["EC", "ec_paramgen_curve:P-256"],
  "EC P-384": ["EC", "ec_paramgen_curve:P-384"],
  "EC P-521": ["EC", "ec_paramgen_curve:P-521"],
  "EC secp256k1": ["EC", "ec_paramgen_curve:secp256k1"],
  "EC brainpoolP256r1": ["EC", "ec_paramgen_curve:brainpoolP256r1"],
  ed25519: ["ED25519", undefined],
} as const;

export type KeyType = keyof typeof generation;

/** An unencrypted PKCS#8 key in `directory/name`. */
export function makeKey(directory: string, name: string, type: KeyType): string {
  const path = join(directory, name);
  const [algorithm, option] = generation[type];
  openssl("genpkey", "-algorithm", algorithm, ...(option ? ["-pkeyopt", option] : []), "-out", path);
  return path;
}

export interface CertificateOptions {
  readonly key: string;
  /** As openssl writes it: `/O=Contoso/CN=gw-0001`. */
  readonly subject: string;
  /** Lines of an extension section. */
  readonly extensions?: readonly string[];
  /** Certificate and key of the issuer; without it the certificate is self-signed. */
  readonly issuer?: { readonly certificate: string; readonly key: string };
  readonly days?: number;
  /** When it is made, as faketime(1) takes it: `+10d`; the certificate is valid from then. */
  readonly madeAt?: string;
}

/** A PEM certificate in `directory/name`. */
export function makeCertificate(
  directory: string,
  name: string,
  { key, subject, extensions = [], issuer, days = 30, madeAt = "+0d" }: CertificateOptions,
): string {
  const path = join(directory, name);
  const request = `${path}.csr`;
  const section = `${path}.ext`;
  writeFileSync(section, `${extensions.join("\n")}\n`);
  openssl("req", "-new", "-key", key, "-subj", subject, "-out", request);
  const signer = issuer
    ? ["-CA", issuer.certificate, "-CAkey", issuer.key, "-CAcreateserial"]
    : ["-signkey", key];
  opensslAt(
    madeAt,
    "x509",
    "-req",
    "-in",
    request,
    ...signer,
    "-days",
    String(days),
    "-extfile",
    section,
    "-out",
    path,
  );
  return path;
}
