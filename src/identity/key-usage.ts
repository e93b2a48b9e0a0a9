// The key usage of a certificate (RFC 5280, 4.2.1.3), which node:crypto does not show: just enough DER to find it.

const tag = {
  bitString: 0x03,
  octetString: 0x04,
  objectIdentifier: 0x06,
  sequence: 0x30,
  extensions: 0xa3,
} as const;
const keyUsageId = Buffer.from([0x55, 0x1d, 0x0f]);
const digitalSignature = 0x80;

interface Element {
  readonly tag: number;
  readonly content: Buffer;
}

/** Whether the key may make digital signatures; undefined when the certificate does not limit what it may do. */
export function maySign(certificateDer: Buffer): boolean | undefined {
  const certificate = elements(certificateDer)[0];
  const body = certificate && elements(certificate.content)[0];
  const list = body && elements(body.content).find((element) => element.tag === tag.extensions);
  const extensions = list && elements(list.content)[0];
  for (const { content } of extensions ? elements(extensions.content) : []) {
    const parts = elements(content);
    if (parts[0]?.tag !== tag.objectIdentifier || !parts[0].content.equals(keyUsageId)) continue;
    const value = parts.find((part) => part.tag === tag.octetString);
    const bits = value && elements(value.content)[0];
    // The first octet of a bit string counts its unused bits.
    return bits?.tag === tag.bitString && ((bits.content[1] ?? 0) & digitalSignature) !== 0;
  }
  return undefined;
}

function elements(der: Buffer): Element[] {
  const found: Element[] = [];
  for (let at = 0; at + 2 <= der.length; ) {
    const first = der[at + 1] ?? 0;
    const lengthOctets = first < 0x80 ? 0 : first & 0x7f;
    const start = at + 2 + lengthOctets;
    if (lengthOctets > 4 || start > der.length) break;
    const length = lengthOctets === 0 ? first : der.readUIntBE(at + 2, lengthOctets);
    found.push({ tag: der[at] ?? 0, content: der.subarray(start, start + length) });
    at = start + length;
  }
  return found;
}
