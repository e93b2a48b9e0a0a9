// A certificate that was chosen and is not saved yet: what it says, and what is wrong with it.

import type { JSX } from "preact";
import { useEffect } from "preact/hooks";
import { useLoad } from "../data/load.ts";
import { describeCertificate } from "../data/management-calls.ts";
import type { CertificateReport } from "../data/records.ts";
import { Button } from "../parts/button.tsx";
import type { FieldProps } from "../parts/field.tsx";
import { Icon } from "../parts/icon.tsx";
import { CertificateFacts } from "./certificate-facts.tsx";

/** What the certificate is for: problems depend on it. */
export type CertificateUse = "device" | "ca";

interface ChosenProps extends FieldProps {
  readonly use: CertificateUse;
  readonly value: string;
  /** A private key beside it was left out. */
  readonly hadKey: boolean;
  readonly onRemove: () => void;
  readonly onReport?: (report: CertificateReport) => void;
}

export function ChosenCertificate({
  use,
  value,
  hadKey,
  onRemove,
  onReport,
  label,
  name,
  mistake,
}: ChosenProps): JSX.Element {
  const {
    value: report,
    failure,
    loading,
  } = useLoad((signal) => describeCertificate(value, use, signal), [value, use]);
  // Told once a report.
  useEffect(() => {
    if (report) onReport?.(report);
  }, [report]);
  const [leaf, ...chain] = report?.certificates ?? [];
  const problems = failure ? [failure.message] : (report?.problems ?? []);
  return (
    <fieldset
      class={mistake ? "field wrong" : "field"}
      name={name}
      tabIndex={-1}
      aria-invalid={mistake ? true : undefined}
    >
      <legend>{label}</legend>
      <div class="certificate" aria-busy={loading}>
        <div class="certificate-head">
          <Icon name="lock" />
          <strong>{leaf?.commonName ?? (loading ? "Reading…" : "Certificate")}</strong>
          <Button look="quiet" label={`Remove the ${label.toLowerCase()}`} onClick={onRemove}>
            Remove
          </Button>
        </div>
        {leaf && <CertificateFacts certificate={leaf} />}
        {chain.length > 0 && (
          <p class="hint">
            The file has {chain.length} more: {chain.map(({ subject }) => subject).join("; ")}. Only the first
            is enrolled.
          </p>
        )}
        <div role="status">
          {hadKey && (
            <p class="mistake">
              <Icon name="warning" /> There was a private key in this file. It was left out, and sent nowhere;
              it should never leave the device.
            </p>
          )}
          {problems.map((problem) => (
            <p key={problem} class="mistake">
              <Icon name="warning" /> {problem}
            </p>
          ))}
          {leaf && problems.length === 0 && (
            <p class="fine">
              <Icon name="check" /> No problems found.
            </p>
          )}
        </div>
        {mistake && (
          <p class="mistake">
            <Icon name="warning" /> {mistake}
          </p>
        )}
      </div>
    </fieldset>
  );
}
