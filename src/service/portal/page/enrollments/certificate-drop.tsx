// Takes a certificate by drop, by file or by paste, and shows what it says before it is saved.

import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { readCertificateFile, withoutPrivateKeys } from "../data/certificate-file.ts";
import type { CertificateReport } from "../data/records.ts";
import { Field, type FieldProps } from "../parts/field.tsx";
import { Icon } from "../parts/icon.tsx";
import { type CertificateUse, ChosenCertificate } from "./chosen-certificate.tsx";

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
