// The common name of a certificate, read from its DER (RFC 5280, 4.1). Node's own toLegacyObject() would do, but ends
// the whole process on a key over a curve that NIST does not name, such as secp256k1; and devices send what they like.

import type { X509Certificate } from "node:crypto";

/** Undefined when there is none, or more than one. */
export function commonName({ raw }: X509Certificate): string | undefined {
  const [certificate] = elementsIn(raw);
  const [toBeSigned] = certificate ? elementsIn(certificate.content) : [];
  const fields = toBeSigned ? elementsIn(toBeSigned.content) : [];
  // The version, which may be missing, goes before serial number, algorithm, issuer, validity and subject.
  const subject = fields[fields[0]?.tag === tags.version ? 5 : 4];
  const names = subject ? attributesIn(subject.content).flatMap(commonNameIn) : [];
  return names.length === 1 ? names[0] : undefined;
}

const tags = { version: 0xa0, objectIdentifier: 0x06 };

/** 2.5.4.3 */
const commonNameType = Buffer.from("550403", "hex");

interface Element {
  readonly tag: number;
  readonly content: Buffer;
}

/** A Name is a sequence of sets of attributes, and an attribute a sequence of type and value. */
const attributesIn = (name: Buffer): Element[] =>
  elementsIn(name).flatMap(({ content }) => elementsIn(content));

function commonNameIn({ content }: Element): string[] {
  const [type, value] = elementsIn(content);
  const isCommonName = type?.tag === tags.objectIdentifier && type.content.equals(commonNameType);
  return isCommonName && value ? [textOf(value)] : [];
}

/** The kinds of strings that names are made of. */
function textOf({ tag, content }: Element): string {
  const utf8String = 0x0c;
  const bmpString = 0x1e;
  if (tag === utf8String) return content.toString("utf8");
  if (tag === bmpString)
    return Buffer.from(content.subarray(0, content.length & ~1))
      .swap16()
      .toString("utf16le");
  return content.toString("latin1");
}

/** One behind the other, as far as they are whole. */
function elementsIn(der: Buffer): Element[] {
  const elements: Element[] = [];
  for (let at = 0; at + 2 <= der.length; ) {
    const first = der.readUInt8(at + 1);
    const lengthBytes = first < 0x80 ? 0 : first & 0x7f;
    if (lengthBytes > 4 || at + 2 + lengthBytes > der.length) break;
    const start = at + 2 + lengthBytes;
    const end = start + (lengthBytes === 0 ? first : der.readUIntBE(at + 2, lengthBytes));
    if (end > der.length) break;
    elements.push({ tag: der.readUInt8(at), content: der.subarray(start, end) });
    at = end;
  }
  return elements;
}
