// The records that the service keeps, in the words of the REST API: enrollments, which permit; registrations, which
// remember; devices, which are what a hub knows.

/** Thumbprints and names of a certificate, as the service API shows it in place of the certificate. */
export interface CertificateInfo {
  readonly subjectName: string;
  readonly sha1Thumbprint: string;
  readonly sha256Thumbprint: string;
  readonly issuerName: string;
  readonly notBeforeUtc: string;
  readonly notAfterUtc: string;
  readonly serialNumber: string;
  readonly version: number;
}

/** `certificate` is PEM. */
export interface EnrolledCertificate {
  readonly certificate: string;
  readonly info: CertificateInfo;
}

export interface CertificatePair {
  readonly primary: EnrolledCertificate;
  readonly secondary?: EnrolledCertificate;
}

export interface TpmAttestation {
  readonly type: "tpm";
  /** Base64 TPM2B_PUBLIC. */
  readonly tpm: { readonly endorsementKey: string; readonly storageRootKey?: string };
}

/** Individual enrollments name the device's own certificates, groups those that sign them. */
export interface X509Attestation {
  readonly type: "x509";
  readonly x509:
    | { readonly clientCertificates: CertificatePair; readonly signingCertificates?: never }
    | { readonly signingCertificates: CertificatePair; readonly clientCertificates?: never };
}

export interface SymmetricKeyAttestation {
  readonly type: "symmetricKey";
  /** Base64, 16 to 64 bytes. */
  readonly symmetricKey: { readonly primaryKey: string; readonly secondaryKey: string };
}

export type Attestation = TpmAttestation | X509Attestation | SymmetricKeyAttestation;

export interface InitialTwin {
  readonly tags?: Record<string, unknown>;
  readonly properties?: { readonly desired?: Record<string, unknown> };
}

export interface ReprovisionPolicy {
  readonly updateHubAssignment: boolean;
  readonly migrateDeviceData: boolean;
}

type AllocationPolicy = "hashed" | "geoLatency" | "static" | "custom";

interface Enrollment {
  readonly attestation: Attestation;
  readonly capabilities: { readonly iotEdge: boolean };
  readonly etag: string;
  readonly provisioningStatus: "enabled" | "disabled";
  /** Absent only on enrollments made with an api-version that did not know it. */
  readonly reprovisionPolicy?: ReprovisionPolicy;
  readonly createdDateTimeUtc: string;
  readonly lastUpdatedDateTimeUtc: string;
  readonly allocationPolicy?: AllocationPolicy;
  readonly iotHubHostName?: string;
  readonly iotHubs?: readonly string[];
  readonly initialTwin?: InitialTwin;
  readonly customAllocationDefinition?: { readonly webhookUrl: string; readonly apiVersion: string };
}

export interface IndividualEnrollment extends Enrollment {
  readonly registrationId: string;
  readonly deviceId?: string;
  readonly optionalDeviceInformation?: Record<string, unknown>;
}

export interface EnrollmentGroup extends Enrollment {
  readonly enrollmentGroupId: string;
}

/** What became of a device that registered. One per registration id. */
export interface Registration {
  readonly registrationId: string;
  /** Absent when an individual enrollment let the device in. */
  readonly enrollmentGroupId?: string;
  readonly attestation: Attestation["type"];
  readonly createdDateTimeUtc: string;
  readonly lastUpdatedDateTimeUtc: string;
  readonly status: "assigned" | "failed";
  readonly substatus?: "initialAssignment" | "deviceDataMigrated" | "deviceDataReset";
  /** Together or not at all. */
  readonly assignedHub?: string;
  readonly deviceId?: string;
  readonly errorCode?: number;
  readonly errorMessage?: string;
  readonly etag: string;
  /** What the device sent along. */
  readonly devicePayload?: unknown;
  /** What a webhook had to tell the device. */
  readonly payload?: unknown;
}

/** How a hub recognises a device. Keys are base64, thumbprints SHA-256 in upper-case hex. */
export type DeviceAuthentication =
  | {
      readonly type: "sas";
      readonly primaryKey: string;
      readonly secondaryKey: string;
      /** Hex name of the endorsement key of the one TPM that may be given the key. */
      readonly sealedTo?: string;
    }
  | { readonly type: "selfSigned"; readonly primaryThumbprint: string; readonly secondaryThumbprint?: string }
  | { readonly type: "certificateAuthority" };

/** A device in the registry of a hub. Device ids are case-sensitive, registration ids are not. */
export interface Device {
  readonly hub: string;
  readonly deviceId: string;
  readonly registrationId: string;
  readonly authentication: DeviceAuthentication;
  readonly capabilities: { readonly iotEdge: boolean };
  readonly twin: InitialTwin;
}

/** An operation that a device polls. */
export interface Operation {
  readonly operationId: string;
  readonly registrationId: string;
  /** ms since 1970; until then the device is told `assigning`. */
  readonly readyAt: number;
  /** The body of its final answer; absent while a webhook has the word. */
  readonly result?: unknown;
  /** Of an operation without a result: what is needed to ask the webhook again. */
  readonly asked?: { readonly apiVersion: string; readonly payload?: unknown };
}

/** A hub that enrollments may be assigned to. */
export interface LinkedHub {
  readonly hostName: string;
  /** 1 to 1000: its share of the devices that are spread by hash. */
  readonly allocationWeight: number;
  /** Declared by the operator: how far it is for geoLatency allocation. */
  readonly latencyMs?: number;
  /** Made with the service, and gone as soon as another hub is linked. */
  readonly placeholder?: true;
}

/** A shared access policy of the service API. Either of its keys, base64, opens it. */
export interface Policy {
  readonly name: string;
  readonly permissions: readonly Permission[];
  readonly primaryKey: string;
  readonly secondaryKey: string;
}

export const permissions = [
  "ServiceConfig",
  "EnrollmentRead",
  "EnrollmentWrite",
  "RegistrationStatusRead",
  "RegistrationStatusWrite",
] as const;

export type Permission = (typeof permissions)[number];
