// The token that proves possession of a symmetric key (dps-sas: `SharedAccessSignature sr=…&sig=…&se=…&skn=…`).
// Pure: whoever holds the key signs, be it a TPM or a key file.

/** HMAC-SHA256 of `data` with the device's key. */
export type Sign = (data: Uint8Array) => Promise<Uint8Array>;

export interface TokenRequest {
  /** `{idScope}/registrations/{registrationId}`, unencoded. */
  readonly resource: string;
  /** Seconds since 1970. */
  readonly expiresAtSeconds: number;
  /** Policy or key name; a registration uses the literal `registration`. */
  readonly keyName: string;
  readonly sign: Sign;
}

/** Signs `encoded(resource) \n expiry` and returns the whole token, as HTTP header or MQTT password carry it. */
export async function sasToken({ resource, expiresAtSeconds, keyName, sign }: TokenRequest): Promise<string> {
  const encodedResource = encodeURIComponent(resource);
  const expiry = String(Math.floor(expiresAtSeconds));
  const signature = await sign(new TextEncoder().encode(`${encodedResource}\n${expiry}`));
  const encodedSignature = encodeURIComponent(base64(signature));
  return `SharedAccessSignature sr=${encodedResource}&sig=${encodedSignature}&se=${expiry}&skn=${encodeURIComponent(keyName)}`;
}

const base64 = (bytes: Uint8Array): string => btoa(String.fromCharCode(...bytes));
