// How the devices of an enrollment prove who they are: to be read, compared and rolled, but not edited.

import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { fetchKeys } from "../data/enrollment-calls.ts";
import { attestationNames, type EnrollmentKind, idOf } from "../data/kinds.ts";
import type { CertificateInfo, EnrollmentRecord } from "../data/records.ts";
import { useMay } from "../data/session.ts";
import { useTask } from "../data/task.ts";
import { Button } from "../parts/button.tsx";
import { CopyButton } from "../parts/copy-button.tsx";
import { Fact, FactList } from "../parts/facts.tsx";
import { FailureNotice } from "../parts/failure-notice.tsx";
import { Icon } from "../parts/icon.tsx";
import { CertificateFacts } from "./certificate-facts.tsx";

interface PresentCredentialProps {
  readonly kind: EnrollmentKind;
  readonly record: EnrollmentRecord;
  /** The dialog is not drawn here: a form cannot hold another. */
  readonly onRoll: () => void;
}

export function PresentCredential({ kind, record, onRoll }: PresentCredentialProps): JSX.Element {
  const { attestation } = record;
  const mayWrite = useMay("EnrollmentWrite");
  const pair = attestation.x509?.[kind.certificates];
  return (
    <>
      <p class="locked">
        <Icon name="lock" />
        <span>
          <strong>{attestationNames[attestation.type]}.</strong> {reasonFor(record)}
        </span>
      </p>
      {pair?.primary?.info && <EnrolledCertificate label="Primary certificate" info={pair.primary.info} />}
      {pair?.secondary?.info && (
        <EnrolledCertificate label="Secondary certificate" info={pair.secondary.info} />
      )}
      {attestation.type === "x509" && mayWrite && (
        <div class="row">
          <Button onClick={onRoll}>Roll the certificate…</Button>
        </div>
      )}
      {attestation.tpm && (
        <FactList>
          <Fact name="Endorsement key">
            <span class="thumbprint">
              <code>{attestation.tpm.endorsementKey}</code>
              <CopyButton text={attestation.tpm.endorsementKey} what="endorsement key" />
            </span>
          </Fact>
        </FactList>
      )}
      {attestation.type === "symmetricKey" && <SecretKeys kind={kind} id={idOf(kind, record)} />}
    </>
  );
}

function reasonFor({ attestation }: EnrollmentRecord): string {
  if (attestation.type === "x509")
    return "The attestation of an enrollment cannot be changed. To replace a certificate, roll it: devices are never without one that works.";
  return "The attestation of an enrollment cannot be changed: another key would be another device under the same name. To use another key, delete the enrollment and create a new one.";
}

function EnrolledCertificate({
  label,
  info,
}: {
  readonly label: string;
  readonly info: CertificateInfo;
}): JSX.Element {
  return (
    <div class="certificate">
      <div class="certificate-head">
        <Icon name="lock" />
        <strong>{label}</strong>
      </div>
      <CertificateFacts certificate={{ ...info, subject: info.subjectName, issuer: info.issuerName }} />
    </div>
  );
}

/** Keys are fetched when somebody asks to see them, and forgotten when they are hidden. */
function SecretKeys({ kind, id }: { readonly kind: EnrollmentKind; readonly id: string }): JSX.Element {
  const mayWrite = useMay("EnrollmentWrite");
  const [keys, setKeys] = useState<{ primaryKey?: string; secondaryKey?: string }>();
  const { busy, failure, run } = useTask();
  const show = (): Promise<void> => run(async () => setKeys((await fetchKeys(kind, id)).symmetricKey));
  if (!mayWrite) return <p class="hint">The policy you signed in with may not see the keys.</p>;
  return (
    <>
      {keys && (
        <FactList>
          {(["primaryKey", "secondaryKey"] as const).map((name) => (
            <Fact key={name} name={name === "primaryKey" ? "Primary key" : "Secondary key"}>
              <span class="thumbprint">
                <code>{keys[name]}</code>
                <CopyButton
                  text={keys[name] ?? ""}
                  what={name === "primaryKey" ? "primary key" : "secondary key"}
                />
              </span>
            </Fact>
          ))}
        </FactList>
      )}
      {failure && <FailureNotice failure={failure} title="The keys could not be loaded" />}
      <div class="row">
        {keys ? (
          <Button onClick={() => setKeys(undefined)}>Hide the keys</Button>
        ) : (
          <Button busy={busy} onClick={show}>
            Show the keys
          </Button>
        )}
      </div>
    </>
  );
}
