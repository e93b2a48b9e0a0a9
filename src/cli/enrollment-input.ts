// From the options of `enrollment create` and `update` to what the service API takes.

import type { AttestationMechanism, CertificatePair } from "../enrollment/record.ts";
import { MooringError } from "../errors.ts";
import { readInput } from "./service-client.ts";

export interface AttestationOptions {
  readonly endorsementKey?: string;
  readonly certificate?: string;
  readonly secondaryCertificate?: string;
  readonly symmetricKey?: boolean;
  readonly symmetricKeyFile?: string;
}

export interface SettingOptions {
  readonly hub?: string;
  readonly initialTwin?: string;
  readonly status?: "enabled" | "disabled";
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
    const ways = certificates === "clientCertificates" ? "--endorsement-key, --certificate" : "--certificate";
    throw new MooringError(
      "ERR_USAGE",
      `give exactly one of ${ways}, --symmetric-key and --symmetric-key-file`,
    );
  }
  if (endorsementKey !== undefined) return { type: "tpm", tpm: { endorsementKey } };
  if (certificate !== undefined) {
    const pair: CertificatePair = {
      primary: { certificate: pem(certificate) },
      ...(secondaryCertificate !== undefined && { secondary: { certificate: pem(secondaryCertificate) } }),
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

/** The members that `create` and `update` share; only those that were given. */
export function settingsFrom({ hub, initialTwin, status }: SettingOptions): Record<string, unknown> {
  return {
    ...(hub !== undefined && { iotHubHostName: hub }),
    ...(status !== undefined && { provisioningStatus: status }),
    ...(initialTwin !== undefined && { initialTwin: readJson(initialTwin) }),
  };
}

function readJson(file: string): unknown {
  try {
    return JSON.parse(readInput(file).toString());
  } catch (cause) {
    if (cause instanceof MooringError) throw cause;
    throw new MooringError("ERR_USAGE", `${file} is not JSON`, { cause, path: file });
  }
}

/** PEM as it is, DER as base64: the service takes both. */
function pem(file: string): string {
  const bytes = readInput(file);
  return bytes.includes("-----BEGIN ") ? bytes.toString() : bytes.toString("base64");
}
