// Certificates from the OpenSSL command line, in a temporary directory: whom they name, who signed them, what they may.

import { execFileSync } from "node:child_process";
import { X509Certificate } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

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
      const withoutIds = ["subjectKeyIdentifier=none", "authorityKeyIdentifier=none"];
      const ids = keyIds ? [] : withoutIds.flatMap((none) => ["-addext", none]);
      const signer = by ? ["-CA", file(`${by.name}.pem`), "-CAkey", file(`${by.name}.key`)] : [];
      execFileSync(
        "openssl",
        [
          ...[
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-noenc",
            "-days",
            `${days}`,
          ],
          ...["-keyout", file(`${name}.key`), "-out", file(`${name}.pem`), "-subj", subject, ...signer],
          ...ids,
          ...["-addext", `basicConstraints=critical,CA:${ca ? "TRUE" : "FALSE"}`],
        ],
        { stdio: "pipe" },
      );
      const pem = readFileSync(file(`${name}.pem`), "utf8");
      return { name, pem, der: new X509Certificate(pem).raw };
    },
    [Symbol.dispose]: () => rmSync(directory, { recursive: true }),
  };
}
