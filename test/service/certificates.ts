// Certificates from the OpenSSL command line, in a temporary directory: whom they name, who signed them, what they may.

import { X509Certificate } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { makeCertificate, makeKey } from "../support/openssl.ts";

export interface Issued {
  readonly name: string;
  readonly pem: string;
  readonly der: Buffer;
}

export interface Workshop extends Disposable {
  /** Valid from now for 30 days unless said otherwise. Self-signed without `by`; `keyIds` name key and issuer's key. */
  issue(subject: string, options?: { by?: Issued; ca?: boolean; days?: number; keyIds?: boolean }): Issued;
}

export function certificateWorkshop(): Workshop {
  const directory = mkdtempSync(join(tmpdir(), "mooring-certificates-"));
  const file = (name: string): string => join(directory, name);
  let count = 0;
  return {
    issue(subject, { by, ca = false, days = 30, keyIds = true } = {}) {
      const name = `${++count}`;
      const key = makeKey(directory, `${name}.key`, "EC P-256");
      const extensions = [
        `basicConstraints = critical, CA:${ca ? "TRUE" : "FALSE"}`,
        `subjectKeyIdentifier = ${keyIds ? "hash" : "none"}`,
        `authorityKeyIdentifier = ${keyIds ? "keyid" : "none"}`,
      ];
      const issuer = by && { certificate: file(`${by.name}.pem`), key: file(`${by.name}.key`) };
      makeCertificate(directory, `${name}.pem`, {
        key,
        subject,
        extensions,
        days,
        ...(issuer && { issuer }),
      });
      const pem = readFileSync(file(`${name}.pem`), "utf8");
      return { name, pem, der: new X509Certificate(pem).raw };
    },
    [Symbol.dispose]: () => rmSync(directory, { recursive: true }),
  };
}
