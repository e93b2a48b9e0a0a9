// Whether a certificate can identify this device at all, found out before the network is bothered.

import type { X509Certificate } from "node:crypto";
import { MooringError } from "../errors.ts";
import { keyTypeOf } from "./certificate.ts";
import { maySign } from "./key-usage.ts";

/**
 * Refuses what DPS or TLS would refuse later and less clearly: a key of a wrong kind, a certificate that is not for
 * clients, one whose time is over (ERR_CERTIFICATE_EXPIRED) or has not come (ERR_CERTIFICATE_NOT_YET_VALID).
 */
export function requireUsable(certificate: X509Certificate, path: string, now: number): void {
  const refuse = (why: string): never => {
    throw new MooringError(
      "ERR_IDENTITY_INVALID",
      `the certificate in ${path} cannot identify this device: ${why}`,
      { path },
    );
  };
  const keyType = keyTypeOf(certificate.publicKey);
  if (!acceptable.test(keyType))
    refuse(`its key is ${keyType}; RSA from 2048 bits, EC P-256 and EC P-384 work`);
  const purposes = certificate.keyUsage;
  if (purposes && !purposes.includes(clientAuthentication) && !purposes.includes(anyPurpose)) {
    refuse("its extended key usage does not name TLS client authentication");
  }
  if (maySign(certificate.raw) === false) refuse("its key usage does not name digital signatures");

  const { validFromDate, validToDate } = certificate;
  const clock = `this machine's clock says ${new Date(now).toISOString()}`;
  if (now < validFromDate.getTime()) {
    const message = `the certificate in ${path} is valid from ${validFromDate.toISOString()}; ${clock}`;
    throw new MooringError("ERR_CERTIFICATE_NOT_YET_VALID", message, { path });
  }
  if (now > validToDate.getTime()) {
    const message = `the certificate in ${path} was valid until ${validToDate.toISOString()}; ${clock}`;
    throw new MooringError("ERR_CERTIFICATE_EXPIRED", message, { path });
  }
}

const clientAuthentication = "1.3.6.1.5.5.7.3.2";
const anyPurpose = "2.5.29.37.0";
const acceptable = /^(?:RSA (?:20[4-9]\d|2[1-9]\d\d|[3-9]\d{3}|1\d{4})|EC P-(?:256|384))$/;
