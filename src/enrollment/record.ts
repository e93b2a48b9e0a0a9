// Enrollments and registrations as the service API speaks of them; only what this side reads or writes.

export interface AttestationMechanism {
  readonly type: "tpm" | "x509" | "symmetricKey";
  /** Base64 TPM2B_PUBLIC. */
  readonly tpm?: { readonly endorsementKey: string; readonly storageRootKey?: string };
  readonly x509?: {
    /** Of one device. */
    readonly clientCertificates?: CertificatePair;
    /** Of a group: the CAs that sign its devices. */
    readonly signingCertificates?: CertificatePair;
    /** Of a group: names of CAs that were uploaded to the service. */
    readonly caReferences?: { readonly primary: string; readonly secondary?: string };
  };
  /** Base64. Answers carry them only where keys are asked for. */
  readonly symmetricKey?: { readonly primaryKey?: string; readonly secondaryKey?: string };
}

export interface CertificatePair {
  readonly primary: EnrolledCertificate;
  readonly secondary?: EnrolledCertificate;
}

export interface EnrolledCertificate {
  /** PEM. Sent; most answers carry `info` instead. */
  readonly certificate?: string;
  readonly info?: {
    readonly subjectName?: string;
    readonly sha256Thumbprint?: string;
    readonly notAfterUtc?: string;
  };
}

export const allocationPolicies = ["static", "hashed", "geoLatency", "custom"] as const;

interface EnrollmentRecord {
  readonly attestation: AttestationMechanism;
  readonly provisioningStatus?: "enabled" | "disabled";
  readonly capabilities?: { readonly iotEdge: boolean };
  readonly reprovisionPolicy?: { readonly updateHubAssignment: boolean; readonly migrateDeviceData: boolean };
  readonly allocationPolicy?: (typeof allocationPolicies)[number];
  /** The one hub, for the static policy. */
  readonly iotHubHostName?: string;
  /** The hubs to choose from; all linked ones when absent. */
  readonly iotHubs?: readonly string[];
  readonly customAllocationDefinition?: { readonly webhookUrl: string; readonly apiVersion: string };
  readonly initialTwin?: unknown;
  /** Written by the service, as are the dates. */
  readonly etag?: string;
  readonly createdDateTimeUtc?: string;
  readonly lastUpdatedDateTimeUtc?: string;
}

export interface IndividualEnrollment extends EnrollmentRecord {
  readonly registrationId: string;
  readonly deviceId?: string;
  readonly optionalDeviceInformation?: unknown;
  /** Written by the service: what became of the device. */
  readonly registrationState?: Omit<RegistrationRecord, "registrationId">;
}

export interface EnrollmentGroup extends EnrollmentRecord {
  readonly enrollmentGroupId: string;
}

export type AnyEnrollment = IndividualEnrollment | EnrollmentGroup;

export interface RegistrationRecord {
  readonly registrationId: string;
  readonly status?: string;
  readonly substatus?: string;
  readonly assignedHub?: string;
  readonly deviceId?: string;
  readonly errorCode?: number;
  readonly errorMessage?: string;
  readonly createdDateTimeUtc?: string;
  readonly lastUpdatedDateTimeUtc?: string;
  readonly etag?: string;
  /** Known when it came through a group. */
  readonly enrollmentGroupId?: string;
  readonly attestation?: string;
  /** The service API has one of these instead; a TPM leaves none. */
  readonly x509?: { readonly enrollmentGroupId?: string };
  readonly symmetricKey?: { readonly enrollmentGroupId?: string };
  /** What the device sent along; only the local service tells it. */
  readonly devicePayload?: unknown;
  /** What a webhook answered for the device. */
  readonly payload?: unknown;
}

/** The group that let the device in: the service API says it below the kind of attestation. */
export const groupOf = ({
  enrollmentGroupId,
  x509,
  symmetricKey,
}: Omit<RegistrationRecord, "registrationId">): string | undefined =>
  enrollmentGroupId ?? (x509 ?? symmetricKey)?.enrollmentGroupId;

/** What a bulk request says about the items that were not taken. */
export interface BulkResult {
  readonly isSuccessful: boolean;
  readonly errors: readonly {
    readonly registrationId?: string;
    readonly enrollmentGroupId?: string;
    readonly errorCode: number;
    readonly errorStatus: string;
  }[];
}
