// How a device may prove itself, from what an operator sends to what the service keeps. Secrets and certificates
// that a client did not send back, because they were never shown to it, stay as they are.

import { randomBytes } from "node:crypto";
import { describeCertificate, readCertificate } from "./attestation/certificates.ts";
import { commonName } from "./attestation/common-name.ts";
import { readEndorsementKey, readStorageRootKey } from "./attestation/tpm-public.ts";
import type { AttestationBody, CertificatesBody } from "./enrollment-body.ts";
import type {
  Attestation,
  CertificatePair,
  EnrolledCertificate,
  SymmetricKeyAttestation,
  TpmAttestation,
  X509Attestation,
} from "./records.ts";
import { Refusal } from "./refusal.ts";

const refuse = (field: string, what: string): Refusal => new Refusal(400000, `attestation.${field}: ${what}`);

export function individualAttestation(
  body: AttestationBody,
  registrationId: string,
  before: Attestation | undefined,
): Attestation {
  verifySameType(body, before);
  if (body.type === "tpm") return tpmAttestation(body);
  if (body.type === "symmetricKey") return symmetricKeyAttestation(body, before);
  const certificates = onlyKind(body, "clientCertificates", "an individual enrollment");
  const known = before?.type === "x509" ? before.x509.clientCertificates : undefined;
  const pair = certificatePair(certificates, "x509.clientCertificates", known, (certificate, field) => {
    const name = commonName(certificate);
    if (name?.toLowerCase() !== registrationId.toLowerCase()) {
      throw refuse(field, `its subject CN is ${JSON.stringify(name ?? "")}, and must be the registrationId`);
    }
  });
  return { type: "x509", x509: { clientCertificates: pair } };
}

export function groupAttestation(
  body: AttestationBody,
  before: Attestation | undefined,
): X509Attestation | SymmetricKeyAttestation {
  verifySameType(body, before);
  if (body.type === "tpm") throw refuse("type", "a group cannot use tpm; enroll each TPM by itself");
  if (body.type === "symmetricKey") return symmetricKeyAttestation(body, before);
  const certificates = onlyKind(body, "signingCertificates", "a group");
  const known = before?.type === "x509" ? before.x509.signingCertificates : undefined;
  const pair = certificatePair(certificates, "x509.signingCertificates", known, (certificate, field) => {
    if (!certificate.ca) throw refuse(field, "not a CA certificate");
  });
  return { type: "x509", x509: { signingCertificates: pair } };
}

/** As in the portal: everything of an enrollment can be changed but the kind of its attestation. */
function verifySameType(body: AttestationBody, before: Attestation | undefined): void {
  if (before && before.type !== body.type) {
    throw refuse(
      "type",
      `${before.type} cannot become ${body.type}; delete the enrollment and create it anew`,
    );
  }
}

function tpmAttestation({ tpm }: AttestationBody): TpmAttestation {
  if (!tpm) throw refuse("tpm", "missing");
  const { endorsementKey, storageRootKey } = tpm;
  readEndorsementKey(endorsementKey, "attestation.tpm.endorsementKey");
  if (!storageRootKey) return { type: "tpm", tpm: { endorsementKey } };
  readStorageRootKey(storageRootKey, "attestation.tpm.storageRootKey");
  return { type: "tpm", tpm: { endorsementKey, storageRootKey } };
}

function symmetricKeyAttestation(
  { symmetricKey }: AttestationBody,
  before: Attestation | undefined,
): SymmetricKeyAttestation {
  const known = before?.type === "symmetricKey" ? before.symmetricKey : undefined;
  const keep = (name: "primaryKey" | "secondaryKey"): string => {
    const given = symmetricKey?.[name];
    if (given) return verifyKey(given, `symmetricKey.${name}`);
    return known?.[name] ?? randomBytes(64).toString("base64");
  };
  return {
    type: "symmetricKey",
    symmetricKey: { primaryKey: keep("primaryKey"), secondaryKey: keep("secondaryKey") },
  };
}

function verifyKey(key: string, field: string): string {
  const bytes = Buffer.from(key, "base64");
  if (bytes.toString("base64") !== key) throw refuse(field, "not base64");
  if (bytes.length < 16 || bytes.length > 64) throw refuse(field, "not 16 to 64 bytes");
  return key;
}

function onlyKind(
  { x509 }: AttestationBody,
  wanted: "clientCertificates" | "signingCertificates",
  holder: string,
): CertificatesBody {
  if (x509?.caReferences) {
    throw refuse("x509.caReferences", "this service keeps no uploaded CAs; use signingCertificates");
  }
  const other = wanted === "clientCertificates" ? "signingCertificates" : "clientCertificates";
  if (x509?.[other]) throw refuse(`x509.${other}`, `not possible in ${holder}; use ${wanted}`);
  const certificates = x509?.[wanted];
  if (!certificates) throw refuse(`x509.${wanted}`, "missing");
  return certificates;
}

type Check = (certificate: NonNullable<ReturnType<typeof readCertificate>>, field: string) => void;

function certificatePair(
  body: CertificatesBody,
  field: string,
  known: CertificatePair | undefined,
  check: Check,
): CertificatePair {
  const read = (slot: "primary" | "secondary"): EnrolledCertificate | undefined => {
    const given = body[slot];
    if (!given) return undefined;
    const name = `${field}.${slot}`;
    if (!given.certificate) {
      const kept = [known?.primary, known?.secondary].find(
        (each) => each && each.info.sha256Thumbprint === given.info?.sha256Thumbprint?.toUpperCase(),
      );
      if (kept) return kept;
      throw refuse(`${name}.certificate`, "missing");
    }
    const certificate = readCertificate(given.certificate);
    if (!certificate) throw refuse(`${name}.certificate`, "neither PEM nor base64 DER of a certificate");
    check(certificate, name);
    return { certificate: certificate.toString(), info: describeCertificate(certificate) };
  };
  const primary = read("primary");
  const secondary = read("secondary");
  if (!primary) throw refuse(`${field}.primary`, "missing");
  return secondary ? { primary, secondary } : { primary };
}
