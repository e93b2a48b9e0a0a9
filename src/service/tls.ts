// What every TLS socket of the service has in common: a client certificate is asked for and judged later, by the
// enrollment, and no session is resumed, so that the client's whole chain comes along each time.

import { constants } from "node:crypto";
import type { DetailedPeerCertificate, TLSSocket, TlsOptions } from "node:tls";
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

/** The certificates that the client sent, DER, leaf first, each issued by the next; empty when it sent none. */
export function clientCertificates(socket: TLSSocket): readonly Buffer[] {
  const known = chains.get(socket);
  if (known !== undefined) return known;
  const chain: Buffer[] = [];
  // Not getPeerX509Certificate(): in Node 24 every call of it loses some 15 KB for good.
  let at: DetailedPeerCertificate | undefined = socket.getPeerCertificate(true);
  while (at?.raw !== undefined) {
    chain.push(at.raw);
    at = at.issuerCertificate === at ? undefined : at.issuerCertificate;
  }
  chains.set(socket, chain);
  return chain;
}
