// Certificates by the openssl program, which shares nothing with our code, and bare TLS servers that use them.

import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import type { AddressInfo, Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { makeCertificate, makeKey } from "./openssl.ts";

export interface KeyPair {
  readonly certificate: string;
  readonly privateKey: string;
}

/** A self-signed P-256 certificate that is its own CA, for localhost and 127.0.0.1 unless told otherwise. */
export function selfSigned(
  commonName: string,
  { san = "DNS:localhost,IP:127.0.0.1", madeAt = "+0d" } = {},
): KeyPair {
  const directory = mkdtempSync(join(tmpdir(), "mooring-test-cert-"));
  const key = makeKey(directory, "key.pem", "EC P-256");
  const subject = `/CN=${commonName}`;
  const extensions = ["basicConstraints = critical, CA:TRUE", `subjectAltName = ${san}`];
  const certificate = makeCertificate(directory, "cert.pem", { key, subject, extensions, days: 2, madeAt });
  const pair = { certificate: readFileSync(certificate, "utf8"), privateKey: readFileSync(key, "utf8") };
  rmSync(directory, { recursive: true });
  return pair;
}

/** Listens on a free port of 127.0.0.1; answers with the port. */
export async function listen(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return (server.address() as AddressInfo).port;
}
