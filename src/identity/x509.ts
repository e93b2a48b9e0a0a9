import type { Clock } from "../system/clock.ts";
import type { Log } from "../system/log.ts";
import type { Secret } from "../system/secret.ts";

/** Where the certificate and its key are: PEM files, or a PKCS#12 archive that holds both. */
export interface X509Files {
  readonly certificate?: string;
  readonly privateKey?: string;
  readonly pkcs12?: string;
  readonly passwordFile?: string;
}

export interface X509Identity {
  readonly source: "x509";
  readonly attestation: "x509";
  readonly registrationId: string;
  /** Hex SHA-256 of the SubjectPublicKeyInfo, DER. */
  readonly publicKeySha256: string;
  /** PEM, leaf first, then its chain. */
  readonly certificate: string;
  /** PKCS#8 PEM, unencrypted, in memory only. */
  readonly privateKey: Secret;
  readonly facts: CertificateFacts;
}

export interface CertificateFacts {
  readonly subject: string;
  readonly issuer: string;
  readonly commonName: string | undefined;
  /** Upper-case hex, as the thumbprints. */
  readonly serialNumber: string;
  /** ISO 8601, UTC. */
  readonly notBefore: string;
  readonly notAfter: string;
  readonly sha1Thumbprint: string;
  readonly sha256Thumbprint: string;
  /** `RSA 2048`, `EC P-256`, … */
  readonly keyType: string;
  /** Certificates in the file, the leaf included. */
  readonly chainLength: number;
  /** Whole days until notAfter; negative after it. */
  readonly daysLeft: number;
}

export declare function openX509Identity(
  files: X509Files,
  options: { registrationId?: string; clock: Clock; log: Log },
): Promise<X509Identity>;

/** publicKeySha256 from the certificate alone, without touching the key: for deciding whether to keep an assignment. */
export declare function x509Fingerprint(files: X509Files): Promise<string>;

/** Facts of a PEM certificate file, leaf and chain in any order. */
export declare function certificateFacts(pem: string, now: number): CertificateFacts;
