// Enrollments as the service API speaks of them; only what this side reads or writes.

export interface AttestationMechanism {
  readonly type: "tpm" | "x509" | "symmetricKey";
  readonly tpm?: { readonly endorsementKey: string };
  readonly x509?: {
    readonly clientCertificates?: CertificatePair;
    readonly signingCertificates?: CertificatePair;
  };
  /** Base64. Answers carry them only where keys are asked for. */
  readonly symmetricKey?: { readonly primaryKey?: string; readonly secondaryKey?: string };
}

export interface CertificatePair {
  readonly primary: EnrolledCertificate;
  readonly secondary?: EnrolledCertificate;
}

interface EnrolledCertificate {
  /** PEM. Sent; answers carry `info` instead. */
  readonly certificate?: string;
  readonly info?: {
    readonly subjectName?: string;
    readonly sha256Thumbprint?: string;
    readonly notAfterUtc?: string;
  };
}

interface EnrollmentRecord {
  readonly attestation: AttestationMechanism;
  readonly provisioningStatus?: "enabled" | "disabled";
  readonly iotHubHostName?: string;
  readonly initialTwin?: unknown;
  /** Written by the service. */
  readonly etag?: string;
}

export interface IndividualEnrollment extends EnrollmentRecord {
  readonly registrationId: string;
  readonly deviceId?: string;
  /** Written by the service: what became of the device. */
  readonly registrationState?: {
    readonly status?: string;
    readonly assignedHub?: string;
    readonly deviceId?: string;
  };
}

export interface EnrollmentGroup extends EnrollmentRecord {
  readonly enrollmentGroupId: string;
}
