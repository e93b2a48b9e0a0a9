// What a certificate says, for a person to compare before it is trusted.

import type { JSX } from "preact";
import type { CertificateFacts as Facts } from "../data/records.ts";
import { CopyButton } from "../parts/copy-button.tsx";
import { Fact, FactList } from "../parts/facts.tsx";
import { Day } from "../parts/time.tsx";

type Shown = Pick<
  Facts,
  "subject" | "issuer" | "sha1Thumbprint" | "sha256Thumbprint" | "notBeforeUtc" | "notAfterUtc"
> &
  Partial<Facts>;

export function CertificateFacts({ certificate }: { readonly certificate: Shown }): JSX.Element {
  const { subject, issuer, sha1Thumbprint, sha256Thumbprint, notBeforeUtc, notAfterUtc, keyKind, isCa } =
    certificate;
  return (
    <FactList>
      <Fact name="Subject">{subject}</Fact>
      <Fact name="Issuer">{subject === issuer ? "itself (self-signed)" : issuer}</Fact>
      <Fact name="Valid">
        <Day at={notBeforeUtc} /> to <Day at={notAfterUtc} />
        <Validity notBefore={notBeforeUtc} notAfter={notAfterUtc} />
      </Fact>
      {(keyKind || isCa !== undefined) && (
        <Fact name="Kind">
          {[keyKind, isCa ? "CA certificate" : "device certificate"].filter(Boolean).join(", ")}
        </Fact>
      )}
      <Fact name="SHA-256">
        <Thumbprint text={sha256Thumbprint} what="SHA-256 thumbprint" />
      </Fact>
      <Fact name="SHA-1">
        <Thumbprint text={sha1Thumbprint} what="SHA-1 thumbprint" />
      </Fact>
    </FactList>
  );
}

const Thumbprint = ({ text, what }: { text: string; what: string }): JSX.Element => (
  <span class="thumbprint">
    <code>{text.replaceAll(":", "")}</code>
    <CopyButton text={text} what={what} />
  </span>
);

const dayMs = 24 * 60 * 60 * 1000;
const soonDays = 30;

function Validity({ notBefore, notAfter }: { notBefore: string; notAfter: string }): JSX.Element | null {
  const now = Date.now();
  const left = Math.floor((Date.parse(notAfter) - now) / dayMs);
  if (Date.parse(notAfter) <= now) return <strong class="alarm"> expired</strong>;
  if (Date.parse(notBefore) > now) return <strong class="alarm"> not yet valid</strong>;
  if (left < soonDays)
    return <strong class="warning"> {left === 0 ? "ends today" : `${left} days left`}</strong>;
  return null;
}
