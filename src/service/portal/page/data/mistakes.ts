// What can be known to be wrong with a draft before it is sent, field by field.

import type { Draft } from "./draft.ts";
import type { EnrollmentKind } from "./kinds.ts";
import { readTwin } from "./twin.ts";

/** Names of fields are members of what is sent; so a complaint of the service finds its field. */
export type Mistakes = ReadonlyMap<string, string>;

export function mistakesIn(
  kind: EnrollmentKind,
  draft: Draft,
  { isNew }: { readonly isNew: boolean },
): Mistakes {
  const found = new Map<string, string>();
  if (isNew) {
    if (!/^[A-Za-z0-9\-._:]{0,127}[A-Za-z0-9-]$/.test(draft.id.trim()))
      found.set(
        kind.idMember,
        draft.id.trim() === "" ? `Enter the ${kind.idLabel.toLowerCase()}.` : kind.idHint,
      );
    for (const [field, what] of attestationMistakes(kind, draft)) found.set(field, what);
  }
  if (draft.deviceId.trim() !== "" && !/^[A-Za-z0-9\-.%_*?!(),:=@$']{1,128}$/.test(draft.deviceId.trim()))
    found.set("deviceId", "1 to 128 of A-Z a-z 0-9 - . % _ * ? ! ( ) , : = @ $ '");
  if (draft.allocation === "static" && draft.hubs.length !== 1)
    found.set("iotHubs", "The static policy needs exactly one hub. Choose it.");
  if (draft.allocation === "custom" && !/^https:\/\/\S+$/i.test(draft.webhookUrl.trim()))
    found.set("customAllocationDefinition.webhookUrl", "Enter the webhook's address, starting with https://");
  const { mistake } = readTwin(draft.twin);
  if (mistake) {
    const { place, what } = mistake;
    found.set("initialTwin", place ? `Line ${place.line}, column ${place.column}: ${what}.` : what);
  }
  return found;
}

function attestationMistakes(kind: EnrollmentKind, draft: Draft): [string, string][] {
  const { attestation: type } = draft;
  if (type === "x509" && draft.primary === "")
    return [[`attestation.x509.${kind.certificates}.primary`, "Add the primary certificate."]];
  if (type === "tpm" && draft.endorsementKey.trim() === "")
    return [["attestation.tpm.endorsementKey", "Paste the endorsement key."]];
  if (type === "symmetricKey" && draft.ownKeys) {
    return (["primaryKey", "secondaryKey"] as const)
      .filter((name) => !isKey(draft[name].trim()))
      .map((name) => [`attestation.symmetricKey.${name}`, "Base64 of 16 to 64 bytes."]);
  }
  return [];
}

function isKey(text: string): boolean {
  try {
    const { length } = atob(text);
    return length >= 16 && length <= 64;
  } catch {
    return false;
  }
}
