// The device's name towards DPS, held to DPS's rules before anything is sent.

import { MooringError } from "../errors.ts";

/** What is wrong with a registration id, in words that name the offending character; undefined when nothing is. */
export function registrationIdProblem(id: string): string | undefined {
  if (id === "") return "it is empty";
  if (id.length > 128) return `it has ${id.length} characters; 128 are allowed`;
  const offender = /[^A-Za-z0-9\-._:]/u.exec(id)?.[0];
  if (offender !== undefined) return `${JSON.stringify(offender)} is not allowed; A-Z a-z 0-9 - . _ : are`;
  const last = id.slice(-1);
  return /[A-Za-z0-9-]/.test(last)
    ? undefined
    : `it ends in "${last}"; the last character is a letter, a digit or -`;
}

/** Throws ERR_REGISTRATION_ID_INVALID; `origin` says where the id comes from, such as "the common name of cert.pem". */
export function requireRegistrationId(id: string, origin: string): string {
  const problem = registrationIdProblem(id);
  if (problem === undefined) return id;
  const shown = JSON.stringify(id.length > 140 ? `${id.slice(0, 140)}…` : id);
  throw new MooringError(
    "ERR_REGISTRATION_ID_INVALID",
    `${origin}, ${shown}, is no registration id: ${problem}`,
  );
}
