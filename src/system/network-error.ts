// Turns what sockets and TLS throw into the words of the error table: DNS, connection, proxy, the server's
// certificate, ours, or a line that broke. Decided by error codes, never by message text.

import { type ErrorCode, MooringError, systemCode, textOf } from "../errors.ts";

const dns = new Set(["ENOTFOUND", "EAI_AGAIN", "EAI_FAIL", "EAI_NODATA", "EAI_NONAME"]);

const unreachable = new Set([
  "ECONNREFUSED",
  "ETIMEDOUT",
  "EHOSTUNREACH",
  "EHOSTDOWN",
  "ENETUNREACH",
  "ENETDOWN",
  "EADDRNOTAVAIL",
  "EACCES",
  "EPERM",
]);

/** OpenSSL's verification results as Node names them: the server's chain is not one that we trust. */
const untrustedIssuer = new Set([
  "DEPTH_ZERO_SELF_SIGNED_CERT",
  "SELF_SIGNED_CERT_IN_CHAIN",
  "UNABLE_TO_GET_ISSUER_CERT",
  "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
  "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
]);

const outOfDate = new Set(["CERT_HAS_EXPIRED", "CERT_NOT_YET_VALID"]);

const badServerCertificate = new Set([
  ...outOfDate,
  "CERT_REVOKED",
  "CERT_UNTRUSTED",
  "CERT_REJECTED",
  "CERT_SIGNATURE_FAILURE",
  "CERT_CHAIN_TOO_LONG",
  "INVALID_CA",
  "INVALID_PURPOSE",
  "PATH_LENGTH_EXCEEDED",
  "HOSTNAME_MISMATCH",
  "ERR_TLS_CERT_ALTNAME_INVALID",
]);

/** Alerts by which a server says that it does not like the certificate we showed (RFC 8446 §6.2). */
const refusedOurCertificate =
  /_ALERT_(BAD_CERTIFICATE|CERTIFICATE_|UNSUPPORTED_CERTIFICATE|UNKNOWN_CA|ACCESS_DENIED)/;

export const isUntrustedIssuer = (error: unknown): boolean => untrustedIssuer.has(systemCode(error) ?? "");

/** The server's certificate is good at another time than ours. */
export const isOutOfDate = (error: unknown): boolean => outOfDate.has(systemCode(error) ?? "");

/** The server's certificate was looked at, and found wrong. */
export const isBadCertificate = (error: unknown): boolean =>
  isUntrustedIssuer(error) || badServerCertificate.has(systemCode(error) ?? "");

/** The two sides did not come to speak TLS at all. */
const isNoTls = (error: unknown): boolean => /^(?:ERR_SSL_|EPROTO$)/.test(systemCode(error) ?? "");

function codeOf(error: unknown): ErrorCode {
  const code = systemCode(error) ?? "";
  if (dns.has(code)) return "ERR_DNS";
  if (unreachable.has(code)) return "ERR_CONNECT";
  if (isBadCertificate(error)) return "ERR_TLS_SERVER";
  if (refusedOurCertificate.test(code)) return "ERR_TLS_CLIENT";
  if (isNoTls(error) || code.startsWith("ERR_OSSL_")) return "ERR_TLS_SERVER";
  return "ERR_CONNECTION_LOST";
}

function hintFor(error: unknown): { hint?: string } {
  const { hostname } = Object(error) as { hostname?: unknown };
  if (dns.has(systemCode(error) ?? "") && typeof hostname === "string")
    return { hint: `check [provisioning] endpoint and the resolver: \`getent hosts ${hostname}\`` };
  if (!isNoTls(error) || refusedOurCertificate.test(systemCode(error) ?? "")) return {};
  return {
    hint: "what answers there does not speak TLS 1.2 or later: check [provisioning] endpoint and ports, and look for a captive portal",
  };
}

/** `attempted` reads like "connect to host:8883 for MQTT". MooringErrors (a deadline, say) pass unchanged. */
export function networkError(error: unknown, attempted: string): MooringError {
  if (error instanceof MooringError) return error;
  const why = error instanceof Error ? textOf(error) : String(error);
  const code = codeOf(error);
  return new MooringError(code, `cannot ${attempted}: ${why}`, {
    cause: error,
    ...hintFor(error),
  });
}
