// What every TLS socket of the service has in common: a client certificate is asked for and judged later, by the
// enrollment, and no session is resumed, so that the client's whole chain comes along each time.

import { constants } from "node:crypto";
import type { TLSSocket, TlsOptions } from "node:tls";
import type { ServerCredential } from "./authority.ts";

/** Options for `tls.createServer` and `https.createServer`. */
export function tlsOptions({ certificate, privateKey }: ServerCredential): TlsOptions {
  return {
    cert: certificate,
    key: privateKey,
    minVersion: "TLSv1.2",
    requestCert: true,
    // No `ca` either: its names would be sent along, and some clients then keep a certificate of another issuer back.
    rejectUnauthorized: false,
    secureOptions: constants.SSL_OP_NO_TICKET,
    handshakeTimeout: 15_000,
    noDelay: true,
    keepAlive: true,
    keepAliveInitialDelay: 60_000,
  };
}

const chains = new WeakMap<TLSSocket, readonly Buffer[]>();

/** The certificates that the client sent, DER, in its order, leaf first; empty when it sent none. */
export function clientCertificates(socket: TLSSocket): readonly Buffer[] {
  const known = chains.get(socket);
  if (known !== undefined) return known;
  const chain: Buffer[] = [];
  // Not getPeerCertificate(): in Node 24 it ends the process when one of the keys is over a curve that NIST does not
  // name, and anybody may send one. The price is some 8 KB, which Node loses for each certificate beside the leaf.
  for (let at = socket.getPeerX509Certificate(); at !== undefined; at = at.issuerCertificate) {
    chain.push(at.raw);
  }
  chains.set(socket, chain);
  return chain;
}
