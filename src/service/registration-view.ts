// Registrations as operators find and see them.

import type { Registration } from "./records.ts";
import { Refusal } from "./refusal.ts";
import { registrationState } from "./registrar.ts";
import type { Store } from "./store.ts";

/** Throws 404202. */
export function findRegistration(store: Store, id: string): Registration {
  const registration = store.registrations.get(id);
  if (!registration)
    throw new Refusal(404202, `Registration not found: registrationId ${JSON.stringify(id)}.`);
  return registration;
}

/** As the service API shows it, and what it leaves out or hides in the name of a member. */
export const registrationView = (row: Registration): unknown => {
  const { attestation, enrollmentGroupId, devicePayload } = row;
  return {
    ...registrationState(row),
    attestation,
    ...(enrollmentGroupId !== undefined && { enrollmentGroupId }),
    ...(devicePayload !== undefined && { devicePayload }),
  };
};
