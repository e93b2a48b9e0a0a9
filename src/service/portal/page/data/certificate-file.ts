// Certificate files as people have them. A private key that lies beside its certificate must not travel with it.

/** PEM stays text; DER, which begins with a SEQUENCE, becomes base64. */
export async function readCertificateFile(file: Blob): Promise<string> {
  const bytes = new Uint8Array(await file.arrayBuffer());
  if (bytes[0] !== 0x30) return new TextDecoder().decode(bytes).trim();
  return btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
}

/** The certificates of a PEM text that also holds a private key; any other text as it is. */
export function withoutPrivateKeys(text: string): {
  readonly certificates: string;
  readonly hadPrivateKey: boolean;
} {
  if (!/-----BEGIN [A-Z ]*PRIVATE KEY-----/.test(text)) return { certificates: text, hadPrivateKey: false };
  const blocks = text.match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g) ?? [];
  return { certificates: blocks.join("\n"), hadPrivateKey: true };
}
