export interface SymmetricKeyFiles {
  readonly keyFile?: string;
  readonly groupKeyFile?: string;
}

export interface SymmetricKeyIdentity {
  readonly source: "symmetric-key";
  readonly attestation: "symmetricKey";
  readonly registrationId: string;
  /** Hex; tells keys apart without revealing anything about them. */
  readonly publicKeySha256: string;
  /** HMAC-SHA256 with the device key. */
  sign(data: Uint8Array): Promise<Buffer>;
}

export declare function openSymmetricKeyIdentity(
  files: SymmetricKeyFiles,
  options: { registrationId: string | undefined; log: import("../system/log.ts").Log },
): SymmetricKeyIdentity;
