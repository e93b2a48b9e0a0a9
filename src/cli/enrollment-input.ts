// From the options of `enrollment create` to how a device or a group proves itself.

import { readCertificate } from "../enrollment/certificate.ts";
import type { AttestationMechanism, CertificatePair, EnrolledCertificate } from "../enrollment/record.ts";
import { MooringError } from "../errors.ts";
import { readInput } from "./service-client.ts";

export interface AttestationOptions {
  readonly endorsementKey?: string;
  readonly certificate?: string;
  readonly secondaryCertificate?: string;
  readonly symmetricKey?: boolean;
  readonly symmetricKeyFile?: string;
}

/** Exactly one way to attest. A certificate is the device's own, or for a group its CA's. */
export function attestationFrom(
  options: AttestationOptions,
  certificates: "clientCertificates" | "signingCertificates",
): AttestationMechanism {
  const { endorsementKey, certificate, secondaryCertificate, symmetricKey, symmetricKeyFile } = options;
  const chosen = [endorsementKey, certificate, symmetricKey, symmetricKeyFile].filter(
    (each) => each !== undefined,
  );
  if (chosen.length !== 1) {
    const ways =
      certificates === "clientCertificates"
        ? "--this-device, --endorsement-key, --certificate"
        : "--certificate";
    throw new MooringError(
      "ERR_USAGE",
      `give exactly one of ${ways}, --symmetric-key and --symmetric-key-file`,
    );
  }
  if (endorsementKey !== undefined) return { type: "tpm", tpm: { endorsementKey } };
  if (certificate !== undefined) {
    const pair: CertificatePair = {
      primary: enrolledCertificate(certificate),
      ...(secondaryCertificate !== undefined && { secondary: enrolledCertificate(secondaryCertificate) }),
    };
    return { type: "x509", x509: { [certificates]: pair } };
  }
  if (symmetricKeyFile === undefined) return { type: "symmetricKey", symmetricKey: {} };
  const [primaryKey, secondaryKey] = readInput(symmetricKeyFile).toString().trim().split(/\s+/);
  return {
    type: "symmetricKey",
    symmetricKey: { ...(primaryKey && { primaryKey }), ...(secondaryKey && { secondaryKey }) },
  };
}

/** A certificate file, PEM or DER; of a PEM chain the first. Throws ERR_INPUT, ERR_USAGE. */
export function enrolledCertificate(file: string): EnrolledCertificate {
  const bytes = readInput(file);
  const text = bytes.includes("-----BEGIN ") ? bytes.toString() : bytes.toString("base64");
  const certificate = readCertificate(text)?.toString();
  if (certificate === undefined)
    throw new MooringError("ERR_USAGE", `${file} holds no certificate`, { path: file });
  return { certificate };
}
