// Evidence about a server that is not trusted: it is called once more, told nothing, and only its certificate is looked
// at. Who reads the error then sees a wrong CA, a wrong name, a wrong time or an intercepting proxy for what it is.

import type { X509Certificate } from "node:crypto";
import type { Socket } from "node:net";
import { isIP } from "node:net";
import { connect as connectTls } from "node:tls";
import { MooringError, systemCode } from "../errors.ts";
import { isOutOfDate, isUntrustedIssuer } from "../system/network-error.ts";
import type { Endpoint } from "./transport.ts";

interface Presented {
  readonly subject: string;
  readonly issuer: string;
  /** Subject alternative names, as OpenSSL writes them. */
  readonly names: string;
  /** ISO 8601, UTC. */
  readonly notBefore: string;
  readonly notAfter: string;
}

/** `failure` with what the server presents and a hint that fits it; as it is when that cannot be had again. */
export async function withPresented(
  failure: MooringError,
  endpoint: Endpoint,
  { openSocket, signal }: { openSocket: () => Promise<Socket>; signal: AbortSignal },
): Promise<MooringError> {
  const presented = await openSocket()
    .then((socket) => lookAt(socket, endpoint.host, signal))
    .catch(() => undefined);
  if (!presented) return failure;
  const { subject, issuer, notBefore, notAfter } = presented;
  const who = subject === issuer ? "itself" : issuer;
  const { cause } = failure;
  const message = `${failure.message}; it shows a certificate of ${subject}, issued by ${who}, valid from ${notBefore} to ${notAfter}`;
  const hint = hintFor({ cause, presented, host: endpoint.host, hasProxy: endpoint.proxy !== undefined });
  return new MooringError(failure.code, message, {
    ...failure.details,
    cause,
    serverCertificate: { subject, issuer, notBefore, notAfter },
    ...(hint !== undefined && { hint }),
  });
}

/** Azure's own endpoints, whose certificates only these two issue. */
const wellKnownHosts = /\.azure-devices-provisioning\.(?:net|us|cn)$/i;
const expectedIssuers = /(?:^|, )O=(?:Microsoft Corporation|DigiCert Inc)(?:,|$)/;

export function hintFor(about: {
  readonly cause: unknown;
  readonly presented: Pick<Presented, "issuer" | "names">;
  readonly host: string;
  readonly hasProxy: boolean;
}): string | undefined {
  const { cause, presented, host, hasProxy } = about;
  const { issuer, names } = presented;
  const isWellKnown = wellKnownHosts.test(host);
  const isExpected = isWellKnown && expectedIssuers.test(issuer);
  if (!isExpected && (isWellKnown || hasProxy) && isUntrustedIssuer(cause)) {
    return `this looks like a TLS-intercepting proxy (issuer ${issuer}): have it let ${host} pass, or put its CA certificate into [provisioning] ca_file`;
  }
  if (isExpected && isUntrustedIssuer(cause)) {
    return "this system lacks the CA certificates of the public web: install them (`apt-get install ca-certificates`)";
  }
  if (isUntrustedIssuer(cause)) {
    return `set [provisioning] ca_file to the certificate of the CA that vouches for the server (issuer ${issuer})`;
  }
  if (isOutOfDate(cause)) {
    return "compare its dates with `date -u`: if that is right, the server needs a new certificate, else set the clock (`timedatectl`)";
  }
  if (systemCode(cause) === "ERR_TLS_CERT_ALTNAME_INVALID") {
    return `the certificate is for other names (${names || "none"}): check [provisioning] endpoint, and look for a captive portal or proxy in between`;
  }
  return undefined;
}

/** Whether it is trusted is decided already; nothing is sent on this line, and no certificate of ours shown. */
function lookAt(socket: Socket, host: string, signal: AbortSignal): Promise<Presented | undefined> {
  return new Promise((resolve, reject) => {
    const line = connectTls({
      socket,
      rejectUnauthorized: false,
      ...(isIP(host) === 0 && { servername: host }),
    });
    const enough = (): void => void line.destroy();
    signal.addEventListener("abort", enough, { once: true });
    line.setTimeout(patienceMs, enough);
    line.once("error", reject);
    line.once("close", () => {
      signal.removeEventListener("abort", enough);
      resolve(undefined);
    });
    line.once("secureConnect", () => {
      const certificate = line.getPeerX509Certificate();
      resolve(certificate && presentedBy(certificate));
      line.destroy();
    });
  });
}

const patienceMs = 5_000;

const presentedBy = (certificate: X509Certificate): Presented => ({
  subject: oneLine(certificate.subject),
  issuer: oneLine(certificate.issuer),
  names: oneLine(certificate.subjectAltName),
  notBefore: certificate.validFromDate.toISOString(),
  notAfter: certificate.validToDate.toISOString(),
});

/** A stranger wrote it: short, printable, and on one line. */
const oneLine = (name: string | undefined): string =>
  (name ?? "")
    .replaceAll("\n", ", ")
    .replace(/[^\x20-\x7e\u00a0-\uffff]/g, " ")
    .slice(0, 200);
