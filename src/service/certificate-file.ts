// Certificates from whatever file somebody has at hand: PEM with one or many, DER, or base64 of either. What is no
// certificate is called by its name.

import type { X509Certificate } from "node:crypto";
import { parseCertificate } from "./attestation/certificates.ts";

export interface CertificateFile {
  readonly certificates: readonly X509Certificate[];
  readonly problems: readonly string[];
}

/** More than any chain has. */
const mostCertificates = 10;

export function readCertificates(file: Buffer): CertificateFile {
  const text = textOf(file);
  const blocks = text.match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g) ?? [];
  const sources = blocks.length > 0 ? blocks.slice(0, mostCertificates) : [fromBase64(file) ?? file];
  const certificates = sources.map(parseCertificate);
  const problems = [
    ...(/-----BEGIN [A-Z ]*PRIVATE KEY-----/.test(text)
      ? ["There is a private key in this file. It was not kept; it should not leave the device."]
      : []),
    ...(blocks.length > mostCertificates
      ? [`Only the first ${mostCertificates} certificates are shown.`]
      : []),
    ...certificates.flatMap((each, at) =>
      each ? [] : unreadable(text, blocks.length > 1 ? at + 1 : undefined),
    ),
  ];
  return { certificates: certificates.filter((each) => each !== undefined), problems };
}

/** Base64 of PEM becomes PEM. */
function textOf(file: Buffer): string {
  const inside = fromBase64(file)?.toString("latin1");
  return inside?.includes("-----BEGIN ") ? inside : file.toString("latin1");
}

/** Undefined when it is something else. */
function fromBase64(file: Buffer): Buffer | undefined {
  const text = file.toString("latin1").replaceAll(/\s/g, "");
  return /^[A-Za-z0-9+/]+={0,2}$/.test(text) ? Buffer.from(text, "base64") : undefined;
}

const others: readonly (readonly [RegExp, string])[] = [
  [
    /-----BEGIN (NEW )?CERTIFICATE REQUEST-----/,
    "This is a request for a certificate; a CA has to sign it first.",
  ],
  [/-----BEGIN PUBLIC KEY-----/, "This is a public key; a certificate has it inside, and a name beside it."],
  [/-----BEGIN [A-Z ]*PRIVATE KEY-----/, "There is no certificate beside it."],
  [
    /-----BEGIN PKCS7-----/,
    "This is a PKCS#7 bundle: `openssl pkcs7 -print_certs` takes the certificates out.",
  ],
];

function unreadable(text: string, number: number | undefined): string[] {
  if (number !== undefined) return [`Certificate ${number} of this file is damaged.`];
  const other = others.find(([mark]) => mark.test(text));
  return [other?.[1] ?? "This is no certificate: neither PEM nor DER, nor base64 of it."];
}
