// Rolling a certificate: the next one is put beside the present one, devices move over, the old one goes. What the
// enrollment will hold afterwards is shown before it is done.

import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { updateEnrollment } from "../data/enrollment-calls.ts";
import { type EnrollmentKind, idOf } from "../data/kinds.ts";
import type { CertificatePair, EnrolledCertificate, EnrollmentRecord } from "../data/records.ts";
import { useTask } from "../data/task.ts";
import { Button } from "../parts/button.tsx";
import { Actions, Dialog } from "../parts/dialog.tsx";
import { Fact, FactList } from "../parts/facts.tsx";
import { FailureNotice } from "../parts/failure-notice.tsx";
import { FieldGroup } from "../parts/field.tsx";
import { Choices } from "../parts/inputs.tsx";
import { notify } from "../parts/notices.tsx";
import { CertificateDrop } from "./certificate-drop.tsx";

type Step = "prepare" | "finish" | "replace";

interface RollCertificateProps {
  readonly kind: EnrollmentKind;
  readonly record: EnrollmentRecord;
  readonly onClose: () => void;
  /** With the enrollment as it is now. */
  readonly onRolled: (record: EnrollmentRecord) => void;
}

export function RollCertificate({ kind, record, onClose, onRolled }: RollCertificateProps): JSX.Element {
  const present: CertificatePair = record.attestation.x509?.[kind.certificates] ?? {};
  const [step, setStep] = useState<Step>(present.secondary ? "finish" : "prepare");
  const [next, setNext] = useState("");
  const { busy, failure, run, forgive } = useTask();
  const [missing, setMissing] = useState(false);
  const after = afterRoll(present, step, next);

  const roll = async (): Promise<void> => {
    setMissing(step !== "finish" && next === "");
    if (step !== "finish" && next === "") return;
    await run(async () => {
      const attestation = { ...record.attestation, x509: { [kind.certificates]: after } };
      const { registrationState: _, ...rest } = record;
      const rolled = await updateEnrollment(kind, idOf(kind, record), { ...rest, attestation });
      notify(`Rolled the certificate of ${idOf(kind, record)}.`);
      onRolled(rolled);
    });
  };

  return (
    <Dialog title={`Roll the certificate of ${idOf(kind, record)}`} onClose={onClose} onSubmit={roll}>
      <FieldGroup label="What to do" name="step">
        <Choices<Step>
          name="step"
          value={step}
          onValue={setStep}
          choices={[
            {
              value: "prepare",
              label: present.secondary
                ? "Replace the secondary certificate"
                : "Add the next certificate as secondary",
              hint: "Both are accepted while devices move to the new one.",
            },
            ...(present.secondary
              ? [
                  {
                    value: "finish" as const,
                    label: "Make the secondary the primary",
                    hint: "Devices have moved: the present primary is not accepted any more.",
                  },
                ]
              : []),
            {
              value: "replace",
              label: "Replace the primary at once",
              hint: "The present primary is lost or stolen: it is refused from now on.",
            },
          ]}
        />
      </FieldGroup>
      <CertificateDrop
        label={step === "finish" ? "New secondary certificate (optional)" : "New certificate"}
        name="next"
        use={kind.route === "groups" ? "ca" : "device"}
        value={next}
        onValue={(text) => {
          setNext(text);
          forgive();
        }}
        mistake={
          missing
            ? "Add the new certificate."
            : failure?.field?.startsWith("attestation")
              ? failure.message
              : undefined
        }
      />
      <h3>Afterwards</h3>
      <FactList>
        <Fact name="Primary">{nameOf(after.primary)}</Fact>
        <Fact name="Secondary">{nameOf(after.secondary)}</Fact>
      </FactList>
      {failure && (
        <FailureNotice
          failure={failure}
          title={
            failure.status === 412
              ? "Not rolled: the enrollment was changed meanwhile"
              : "The certificate was not rolled"
          }
        >
          {failure.status === 412 && <p>Close this, and load the enrollment again.</p>}
        </FailureNotice>
      )}
      <Actions>
        <Button onClick={onClose}>Cancel</Button>
        <Button type="submit" look="primary" busy={busy}>
          {busy ? "Rolling…" : "Roll"}
        </Button>
      </Actions>
    </Dialog>
  );
}

/** A certificate that is already enrolled is named by its thumbprints; the service keeps what it has. */
function afterRoll({ primary, secondary }: CertificatePair, step: Step, next: string): CertificatePair {
  const added: EnrolledCertificate | undefined = next === "" ? undefined : { certificate: next };
  const pair = {
    prepare: [primary, added ?? secondary],
    finish: [secondary, added],
    replace: [added ?? primary, secondary],
  }[step];
  const [first, second] = pair;
  return { ...(first && { primary: first }), ...(second && { secondary: second }) };
}

function nameOf(certificate: EnrolledCertificate | undefined): JSX.Element {
  if (!certificate) return <span class="faint">none</span>;
  if (certificate.certificate) return <strong>the new certificate</strong>;
  return (
    <>
      {certificate.info?.subjectName} <code>{certificate.info?.sha256Thumbprint.slice(0, 16)}…</code>
    </>
  );
}
