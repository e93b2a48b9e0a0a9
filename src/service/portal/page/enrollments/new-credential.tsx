// How the devices of a new enrollment prove who they are.

import type { JSX } from "preact";
import type { Draft } from "../data/draft.ts";
import { attestationNames, type EnrollmentKind, individualKind } from "../data/kinds.ts";
import type { Mistakes } from "../data/mistakes.ts";
import type { AttestationType } from "../data/records.ts";
import { hrefOf } from "../data/route.ts";
import { Field, FieldGroup } from "../parts/field.tsx";
import { Choices, Option, TextField } from "../parts/inputs.tsx";
import { NewCertificates } from "./new-certificates.tsx";

export interface NewCredentialProps {
  readonly kind: EnrollmentKind;
  readonly draft: Draft;
  readonly mistakes: Mistakes;
  readonly change: (change: Partial<Draft>) => void;
}

const hints: Record<EnrollmentKind["route"], Partial<Record<AttestationType, string>>> = {
  groups: {
    x509: "Every device whose certificate this CA has signed, directly or through intermediates.",
    symmetricKey: "Every device whose key is derived from the key of the group and its registration id.",
  },
  enrollments: {
    x509: "The device's own certificate; the device keeps the private key.",
    tpm: "The endorsement key of the device's TPM 2.0; the device proves with SAS tokens that it holds it.",
    symmetricKey: "A key that the device and the service share.",
  },
};

export function NewCredential({ kind, draft, mistakes, change }: NewCredentialProps): JSX.Element {
  return (
    <>
      <FieldGroup
        label="Attestation"
        name="attestation.type"
        mistake={mistakes.get("attestation.type") ?? mistakes.get("attestation")}
      >
        <Choices
          name="attestation.type"
          value={draft.attestation}
          choices={kind.attestations.map((value) => ({
            value,
            label: attestationNames[value],
            ...(hints[kind.route][value] && { hint: hints[kind.route][value] }),
          }))}
          onValue={(attestation) => change({ attestation })}
        />
        {kind.route === "groups" && (
          <p class="hint aside">
            TPM is not offered for groups: each TPM has a key of its own, and nothing in common that a group
            could trust. Enroll such devices <a href={hrefOf([individualKind.addRoute])}>individually</a>.
          </p>
        )}
      </FieldGroup>
      {draft.attestation === "x509" && <NewCertificates {...{ kind, draft, mistakes, change }} />}
      {draft.attestation === "tpm" && (
        <EndorsementKey
          draft={draft}
          mistake={mistakes.get("attestation.tpm.endorsementKey")}
          change={change}
        />
      )}
      {draft.attestation === "symmetricKey" && <NewKeys draft={draft} mistakes={mistakes} change={change} />}
    </>
  );
}

function EndorsementKey({
  draft,
  mistake,
  change,
}: Pick<NewCredentialProps, "draft" | "change"> & { readonly mistake: string | undefined }): JSX.Element {
  return (
    <Field
      label="Endorsement key"
      name="attestation.tpm.endorsementKey"
      hint={
        <>
          The public key in base64, as <code>mooring identity show</code> prints it on the gateway.
        </>
      }
      mistake={mistake}
    >
      {(control) => (
        <textarea
          {...control}
          class="code"
          rows={5}
          placeholder="AToAAQALAAMAsgAg…"
          spellcheck={false}
          autocapitalize="off"
          value={draft.endorsementKey}
          onInput={(event) => change({ endorsementKey: event.currentTarget.value })}
        />
      )}
    </Field>
  );
}

function NewKeys({ draft, mistakes, change }: Omit<NewCredentialProps, "kind">): JSX.Element {
  return (
    <FieldGroup
      label="Keys"
      name="attestation.symmetricKey"
      mistake={mistakes.get("attestation.symmetricKey")}
    >
      <Option
        type="checkbox"
        name="generate"
        checked={!draft.ownKeys}
        onChecked={(generate) => change({ ownKeys: !generate })}
        hint="Two random keys of 64 bytes; they can be shown after saving."
      >
        Let the service generate the keys
      </Option>
      {draft.ownKeys &&
        (["primaryKey", "secondaryKey"] as const).map((name) => (
          <TextField
            key={name}
            label={name === "primaryKey" ? "Primary key" : "Secondary key"}
            name={`attestation.symmetricKey.${name}`}
            hint="Base64 of 16 to 64 bytes."
            code
            value={draft[name]}
            mistake={mistakes.get(`attestation.symmetricKey.${name}`)}
            onValue={(value) => change({ [name]: value })}
          />
        ))}
    </FieldGroup>
  );
}
