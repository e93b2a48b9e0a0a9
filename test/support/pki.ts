// A gateway's public-key infrastructure, as an operator would make it with openssl: CAs and device certificates.

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type KeyType, makeCertificate, makeKey } from "./openssl.ts";

export interface Issued {
  readonly certificateFile: string;
  readonly keyFile: string;
  /** PEM. */
  readonly certificate: string;
  readonly key: string;
}

export interface IssueOptions {
  readonly keyType?: KeyType;
  /** Who signs; it signs itself when absent. */
  readonly by?: Issued;
  readonly isCa?: boolean;
  /** The common name, if it is another. */
  readonly subject?: string;
  /** -1 is over already. */
  readonly days?: number;
  /** As in CertificateOptions. */
  readonly madeAt?: string;
}

/** NAME.key and NAME.pem in `directory`, for the common name NAME unless told otherwise. */
export function issue(directory: string, name: string, options: IssueOptions = {}): Issued {
  const { keyType = "EC P-256", by, isCa = false, subject = name, days = 2, madeAt = "+0d" } = options;
  const keyFile = makeKey(directory, `${name}.key`, keyType);
  const certificateFile = makeCertificate(directory, `${name}.pem`, {
    key: keyFile,
    subject: `/CN=${subject}`,
    days,
    madeAt,
    extensions: isCa
      ? ["basicConstraints = critical, CA:TRUE", "keyUsage = critical, keyCertSign"]
      : ["basicConstraints = critical, CA:FALSE", "extendedKeyUsage = clientAuth"],
    ...(by && { issuer: { certificate: by.certificateFile, key: by.keyFile } }),
  });
  return {
    certificateFile,
    keyFile,
    certificate: readFileSync(certificateFile, "utf8"),
    key: readFileSync(keyFile, "utf8"),
  };
}

/** A file with these certificates, in this order. */
export function writeChain(directory: string, name: string, ...certificates: readonly Issued[]): string {
  const file = join(directory, name);
  writeFileSync(file, certificates.map(({ certificate }) => certificate).join(""));
  return file;
}

/** TOML of an X.509 identity. */
export const x509Identity = (certificateFile: string, keyFile: string): string =>
  `[identity]\nsource = "x509"\n[identity.x509]\ncertificate = "${certificateFile}"\nprivate_key = "${keyFile}"\n`;

/** TOML of a TPM identity. */
export const tpmIdentity = (tcti: string, more = ""): string =>
  `[identity]\nsource = "tpm"\n${more}\n[identity.tpm]\ntcti = "${tcti}"\n`;
