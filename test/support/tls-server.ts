// Certificates by the openssl program, which shares nothing with our code, and bare TLS servers that use them.

import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import type { AddressInfo, Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

export interface KeyPair {
  readonly certificate: string;
  readonly privateKey: string;
}

/** A self-signed P-256 certificate that is its own CA, for localhost and 127.0.0.1 unless told otherwise. */
export function selfSigned(
  commonName: string,
  { san = "DNS:localhost,IP:127.0.0.1", days = "2" } = {},
): KeyPair {
  const directory = mkdtempSync(join(tmpdir(), "mooring-test-cert-"));
  const [keyFile, certFile] = [join(directory, "key.pem"), join(directory, "cert.pem")];
  execFileSync(
    "openssl",
    [
      ...[
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
        "-days",
        days,
      ],
      ...[
        "-subj",
        `/CN=${commonName}`,
        "-addext",
        `subjectAltName=${san}`,
        "-keyout",
        keyFile,
        "-out",
        certFile,
      ],
    ],
    { stdio: "ignore" },
  );
  const pair = { certificate: readFileSync(certFile, "utf8"), privateKey: readFileSync(keyFile, "utf8") };
  rmSync(directory, { recursive: true });
  return pair;
}

/** Listens on a free port of 127.0.0.1; answers with the port. */
export async function listen(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return (server.address() as AddressInfo).port;
}
