// The certificate that the TPM's manufacturer gave to the endorsement key: proof for an operator that the EK is that of
// a real chip. Provisioning does not need it.

import { createPublicKey, X509Certificate } from "node:crypto";
import { MooringError } from "../errors.ts";
import type { Log } from "../system/log.ts";
import type { TpmIdentity } from "./tpm.ts";

/** What the manufacturer's certificate of the EK says; times are ISO 8601, UTC. */
export interface EndorsementCertificateFacts {
  readonly issuer: string;
  readonly serialNumber: string;
  readonly notBefore: string;
  readonly notAfter: string;
  readonly sha256Thumbprint: string;
  /** Whether it certifies the EK in use: not so when EK and certificate come from different templates. */
  readonly isOfEndorsementKey: boolean;
}

/**
 * Reads the EK certificate from the TPM: for `identity show`, not needed to provision. Undefined when there is none.
 * Throws ERR_IDENTITY_INVALID when the TPM carries something else in its place.
 */
export async function endorsementCertificateFacts(
  { tpm, endorsementKey }: Pick<TpmIdentity, "tpm" | "endorsementKey">,
  { log }: { log: Log },
): Promise<EndorsementCertificateFacts | undefined> {
  const der = await tpm.endorsementCertificate();
  if (!der) return undefined;
  const certificate = parseCertificate(der);
  const isOfEndorsementKey = sameKey(certificate, endorsementKey);
  if (!isOfEndorsementKey)
    log.warn("identity.endorsement-certificate-mismatch", { issuer: certificate.issuer });
  return {
    issuer: certificate.issuer.replaceAll("\n", ", "),
    serialNumber: certificate.serialNumber,
    notBefore: certificate.validFromDate.toISOString(),
    notAfter: certificate.validToDate.toISOString(),
    sha256Thumbprint: certificate.fingerprint256.replaceAll(":", ""),
    isOfEndorsementKey,
  };
}

function parseCertificate(der: Buffer): X509Certificate {
  try {
    return new X509Certificate(der);
  } catch (cause) {
    throw new MooringError("ERR_IDENTITY_INVALID", "NV index 0x1c00002 of the TPM holds no certificate", {
      cause,
    });
  }
}

/** A TPM2B_PUBLIC of an RSA key ends with its modulus; its exponent is 65537 when the field says 0. */
function sameKey(certificate: X509Certificate, endorsementKey: Buffer): boolean {
  const modulus = endorsementKey.subarray(-256).toString("base64url");
  const key = createPublicKey({ key: { kty: "RSA", n: modulus, e: "AQAB" }, format: "jwk" });
  try {
    return certificate.publicKey.equals(key);
  } catch {
    return false; // some manufacturers certify RSAES-OAEP keys, which OpenSSL does not read as RSA keys
  }
}
