// The certificates of a new enrollment: the primary one, from which the registration id may come, and one for later.

import type { JSX } from "preact";
import { useState } from "preact/hooks";
import type { CertificateReport } from "../data/records.ts";
import { Button } from "../parts/button.tsx";
import { Icon } from "../parts/icon.tsx";
import { CertificateDrop } from "./certificate-drop.tsx";
import type { NewCredentialProps } from "./new-credential.tsx";

export function NewCertificates({ kind, draft, mistakes, change }: NewCredentialProps): JSX.Element {
  const use = kind.route === "groups" ? "ca" : "device";
  const field = `attestation.x509.${kind.certificates}`;
  const [commonName, setCommonName] = useState<string>();
  const learn = ({ certificates: [leaf] }: CertificateReport): void => {
    const name = leaf?.commonName ?? undefined;
    setCommonName(name);
    if (kind.route === "enrollments" && draft.id === "" && name) change({ id: name });
  };
  const differs =
    kind.route === "enrollments" &&
    draft.primary !== "" &&
    commonName !== undefined &&
    draft.id.trim().toLowerCase() !== commonName.toLowerCase();
  return (
    <>
      <CertificateDrop
        label="Primary certificate"
        name={`${field}.primary`}
        use={use}
        value={draft.primary}
        mistake={mistakes.get(`${field}.primary`)}
        onValue={(primary) => change({ primary })}
        onReport={learn}
      />
      {differs && (
        <p class="mistake" role="status">
          <Icon name="warning" /> The common name of the certificate is {commonName}, and the registration id
          has to be the same.{" "}
          <Button look="quiet" onClick={() => change({ id: commonName })}>
            Use {commonName}
          </Button>
        </p>
      )}
      <details open={draft.secondary !== "" || mistakes.has(`${field}.secondary`)}>
        <summary>Secondary certificate (optional)</summary>
        <CertificateDrop
          label="Secondary certificate"
          name={`${field}.secondary`}
          hint="Works beside the primary one: the next certificate can be put in place before the first runs out."
          use={use}
          value={draft.secondary}
          mistake={mistakes.get(`${field}.secondary`)}
          onValue={(secondary) => change({ secondary })}
        />
      </details>
    </>
  );
}
