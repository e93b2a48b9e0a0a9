// What the service shows of its records, in the words of its API.

export interface CertificateInfo {
  readonly subjectName: string;
  readonly sha1Thumbprint: string;
  readonly sha256Thumbprint: string;
  readonly issuerName: string;
  readonly notBeforeUtc: string;
  readonly notAfterUtc: string;
  readonly serialNumber: string;
}

/** The certificate itself is only ever sent, never shown. */
export interface EnrolledCertificate {
  readonly certificate?: string;
  readonly info?: CertificateInfo;
}

export interface CertificatePair {
  readonly primary?: EnrolledCertificate;
  readonly secondary?: EnrolledCertificate;
}

export type AttestationType = "x509" | "tpm" | "symmetricKey";

export interface Attestation {
  readonly type: AttestationType;
  readonly tpm?: { readonly endorsementKey: string; readonly storageRootKey?: string };
  readonly x509?: {
    readonly clientCertificates?: CertificatePair;
    readonly signingCertificates?: CertificatePair;
  };
  readonly symmetricKey?: { readonly primaryKey?: string; readonly secondaryKey?: string };
}

export type AllocationPolicy = "hashed" | "geoLatency" | "static" | "custom";

export interface InitialTwin {
  readonly tags?: Record<string, unknown>;
  readonly properties?: { readonly desired?: Record<string, unknown> };
}

/** An individual enrollment has a registration id, a group its own. */
export interface EnrollmentRecord {
  readonly registrationId?: string;
  readonly enrollmentGroupId?: string;
  readonly deviceId?: string;
  readonly attestation: Attestation;
  readonly capabilities?: { readonly iotEdge?: boolean };
  readonly etag?: string;
  readonly provisioningStatus?: "enabled" | "disabled";
  readonly reprovisionPolicy?: { readonly updateHubAssignment: boolean; readonly migrateDeviceData: boolean };
  readonly allocationPolicy?: AllocationPolicy;
  readonly iotHubHostName?: string;
  readonly iotHubs?: readonly string[];
  readonly initialTwin?: InitialTwin;
  readonly customAllocationDefinition?: { readonly webhookUrl: string; readonly apiVersion: string };
  readonly createdDateTimeUtc?: string;
  readonly lastUpdatedDateTimeUtc?: string;
  readonly registrationState?: RegistrationRecord;
}

export interface RegistrationRecord {
  readonly registrationId: string;
  readonly enrollmentGroupId?: string;
  readonly attestation?: AttestationType;
  readonly status: "unassigned" | "assigning" | "assigned" | "failed" | "disabled";
  readonly substatus?: string;
  readonly assignedHub?: string;
  readonly deviceId?: string;
  readonly errorCode?: number;
  readonly errorMessage?: string;
  readonly createdDateTimeUtc?: string;
  readonly lastUpdatedDateTimeUtc?: string;
  readonly etag?: string;
  /** What the device sent along; only the management API tells it. */
  readonly devicePayload?: unknown;
  /** What the enrollment's webhook answered for the device. */
  readonly payload?: unknown;
}

export interface Overview {
  readonly idScope: string;
  readonly enrollments: number;
  readonly enrollmentGroups: number;
  readonly registrations: number;
  readonly hubs: number;
  readonly scenarios: number;
}

export interface Hub {
  readonly hostName: string;
  /** 1 to 1000: its share under the hashed policy. */
  readonly allocationWeight: number;
  readonly latencyMs?: number;
  readonly devices: number;
}

export interface Statistics {
  readonly registrations: readonly {
    readonly at: string | number;
    readonly assigned: number;
    readonly failed: number;
  }[];
  readonly hubs: readonly { readonly hostName: string; readonly devices: number }[];
}

/** `null`: no quota. */
export interface Quotas {
  readonly registrationsPerMinute: number | null;
  readonly serviceCallsPerMinute: number | null;
}

export interface CertificateFacts {
  readonly subject: string;
  readonly issuer: string;
  readonly sha1Thumbprint: string;
  readonly sha256Thumbprint: string;
  readonly notBeforeUtc: string;
  readonly notAfterUtc: string;
  readonly isCa: boolean;
  readonly keyKind: string;
  readonly serialNumber: string;
  readonly commonName?: string | null;
}

export interface CertificateReport {
  readonly certificates: readonly CertificateFacts[];
  readonly problems: readonly string[];
}

/** What events tell of. */
export type LiveKind = "registration" | "enrollment" | "enrollmentGroup" | "hub" | "scenario";

export interface Page<Item> {
  readonly items: readonly Item[];
  readonly next?: string;
}
