// Attestation by a TLS client certificate: the enrolled one itself, or one that an enrolled CA signed. TLS has
// already shown that the device holds the private key; here its certificate is judged.

import { X509Certificate } from "node:crypto";
import type { CertificatePair, EnrollmentGroup } from "../records.ts";
import { keyOf } from "../tables.ts";
import { describeCertificate, isIssuedBy, parseCertificate, sha256Thumbprint } from "./certificates.ts";
import { commonName } from "./common-name.ts";
import { type Evidence, invalidCertificate } from "./evidence.ts";

/** More than any device has; each one costs a signature check. */
const longestChain = 8;

/** Throws unless the leaf is one of the enrolled certificates, valid now, and named after the device. */
export function verifyClientCertificate(evidence: Evidence, enrolled: CertificatePair): void {
  const [leaf] = presentedChain(evidence);
  const thumbprint = sha256Thumbprint(leaf);
  const known = [enrolled.primary, enrolled.secondary].some(
    (each) => each?.info.sha256Thumbprint === thumbprint,
  );
  if (!known) throw invalidCertificate("the certificate is not the enrolled one");
  verifyLeaf(leaf, evidence);
}

/**
 * The group whose CA is nearest to the leaf: its issuer, else the issuer of that one, and so on through the chain
 * that the device sent. Throws when there is none.
 */
export function findGroupByChain(evidence: Evidence, groups: readonly EnrollmentGroup[]): EnrollmentGroup {
  const [leaf, ...intermediates] = presentedChain(evidence);
  const now = new Date(evidence.now);
  let current = leaf;
  for (let depth = 0; depth < longestChain; depth++) {
    const match = groups.find((group) => authoritiesOf(group).some((ca) => hasIssued(ca, current, now)));
    if (match) {
      verifyLeaf(leaf, evidence);
      return match;
    }
    const below = current;
    const issuer = intermediates.find((each) => each !== below && hasIssued(each, below, now));
    if (!issuer) break;
    current = issuer;
  }
  throw invalidCertificate(
    `no enrolled CA is behind ${JSON.stringify(describeCertificate(leaf).issuerName)}`,
  );
}

function presentedChain({ certificates }: Evidence): [X509Certificate, ...X509Certificate[]] {
  const parsed = certificates.slice(0, longestChain).map(parseCertificate);
  const [leaf, ...others] = parsed.filter((each) => each !== undefined);
  if (leaf && parsed.every((each) => each !== undefined)) return [leaf, ...others];
  throw invalidCertificate(
    parsed.length === 0 ? "the device sent no certificate" : "the certificate cannot be read",
  );
}

function verifyLeaf(leaf: X509Certificate, { registrationId, now }: Evidence): void {
  if (!isValidAt(leaf, new Date(now))) {
    throw invalidCertificate(`the certificate is valid from ${leaf.validFrom} to ${leaf.validTo}`);
  }
  const name = commonName(leaf);
  if (name === undefined || keyOf(name) !== keyOf(registrationId)) {
    throw invalidCertificate(`the certificate belongs to CN ${JSON.stringify(name ?? "")}`);
  }
}

const hasIssued = (ca: X509Certificate, child: X509Certificate, now: Date): boolean =>
  ca.ca && isValidAt(ca, now) && isIssuedBy(child, ca);

const isValidAt = (certificate: X509Certificate, now: Date): boolean =>
  certificate.validFromDate <= now && now <= certificate.validToDate;

/** Parsed once for as long as the group stays the same object. */
const authorities = new WeakMap<EnrollmentGroup, readonly X509Certificate[]>();

function authoritiesOf(group: EnrollmentGroup): readonly X509Certificate[] {
  const known = authorities.get(group);
  if (known) return known;
  const pair = group.attestation.type === "x509" ? group.attestation.x509.signingCertificates : undefined;
  const parsed = [pair?.primary, pair?.secondary].flatMap((each) =>
    each ? [new X509Certificate(each.certificate)] : [],
  );
  authorities.set(group, parsed);
  return parsed;
}
