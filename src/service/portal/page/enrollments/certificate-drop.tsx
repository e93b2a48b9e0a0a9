// Takes a certificate by drop, by file or by paste, and shows what it says before it is saved.

import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { readCertificateFile, withoutPrivateKeys } from "../data/certificate-file.ts";
import { useLoad } from "../data/load.ts";
import { describeCertificate } from "../data/management-calls.ts";
import type { CertificateReport } from "../data/records.ts";
import { Button } from "../parts/button.tsx";
import { Field, type FieldProps } from "../parts/field.tsx";
import { Icon } from "../parts/icon.tsx";
import { CertificateFacts } from "./certificate-facts.tsx";

/** What the certificate is for: problems depend on it. */
type CertificateUse = "device" | "ca";

interface CertificateDropProps extends FieldProps {
  readonly use: CertificateUse;
  /** PEM or base64 DER. */
  readonly value: string;
  readonly onValue: (text: string) => void;
  readonly onReport?: (report: CertificateReport) => void;
}

// A file that misses its field must not take the place of the page.
for (const event of ["dragover", "drop"]) window.addEventListener(event, (missed) => missed.preventDefault());

/** A certificate with a chain has some kilobytes; a file of megabytes is none. */
const largestFile = 256 * 1024;

export function CertificateDrop({
  use,
  value,
  onValue,
  onReport,
  ...field
}: CertificateDropProps): JSX.Element {
  const [over, setOver] = useState(false);
  const [unread, setUnread] = useState<string>();
  const [hadKey, setHadKey] = useState(false);
  const take = async (file: File | undefined): Promise<void> => {
    setOver(false);
    if (!file) return;
    if (file.size > largestFile) {
      setUnread(`${file.name} is too large to be a certificate.`);
      return;
    }
    offer(await readCertificateFile(file));
  };
  const offer = (text: string): void => {
    const { certificates, hadPrivateKey } = withoutPrivateKeys(text);
    setUnread(certificates === "" && hadPrivateKey ? "This is a private key and no certificate." : undefined);
    setHadKey(hadPrivateKey);
    onValue(certificates);
  };

  if (value !== "")
    return (
      <ChosenCertificate
        {...field}
        use={use}
        value={value}
        hadKey={hadKey}
        onRemove={() => offer("")}
        {...(onReport && { onReport })}
      />
    );
  return (
    <Field {...field} mistake={field.mistake ?? unread}>
      {(control) => (
        // biome-ignore lint/a11y/noStaticElementInteractions: dropping is a shortcut; the file button does the same
        <div
          class={over ? "drop over" : "drop"}
          onDragOver={(event) => {
            event.preventDefault();
            setOver(true);
          }}
          onDragLeave={() => setOver(false)}
          onDrop={(event) => {
            event.preventDefault();
            void take(event.dataTransfer?.files[0]);
          }}
        >
          <p>
            <Icon name="upload" /> Drop a <code>.pem</code>, <code>.cer</code> or <code>.crt</code> file here,
            or{" "}
            <label class="file">
              <input
                type="file"
                aria-label={`${field.label}: choose a file`}
                accept=".pem,.cer,.crt,.der"
                onChange={(event) => void take(event.currentTarget.files?.[0])}
              />
              <span>choose a file</span>
            </label>
          </p>
          <textarea
            {...control}
            class="code"
            rows={3}
            placeholder="-----BEGIN CERTIFICATE-----"
            spellcheck={false}
            onInput={(event) => {
              const text = event.currentTarget.value.trim();
              // While it is typed by hand it is not read at every key.
              if (/-----END CERTIFICATE-----$/.test(text) || /^[A-Za-z0-9+/\s]{200,}={0,2}$/.test(text))
                offer(text);
            }}
            onChange={(event) => offer(event.currentTarget.value.trim())}
          />
        </div>
      )}
    </Field>
  );
}

interface ChosenProps extends FieldProps {
  readonly use: CertificateUse;
  readonly value: string;
  readonly hadKey: boolean;
  readonly onRemove: () => void;
  readonly onReport?: (report: CertificateReport) => void;
}

function ChosenCertificate({
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
