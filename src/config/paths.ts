// Paths of a configuration become absolute before anything is checked: relative ones start at its directory, and
// `credential:NAME` at the directory where systemd puts the unit's credentials.

import { join, resolve } from "node:path";
import type { KeyPath } from "./rules.ts";
import { isTable } from "./values.ts";

type Tables = Record<string, unknown>;

/** Keys that name files to read: `credential:NAME` is allowed in them. */
const readKeys: readonly KeyPath[] = [
  ["provisioning", "ca_file"],
  ["provisioning", "proxy_credentials_file"],
  ["provisioning", "payload_file"],
  ["identity", "tpm", "owner_auth_file"],
  ["identity", "tpm", "endorsement_auth_file"],
  ["identity", "x509", "certificate"],
  ["identity", "x509", "private_key"],
  ["identity", "x509", "pkcs12"],
  ["identity", "x509", "password_file"],
  ["identity", "symmetric_key", "key_file"],
  ["identity", "symmetric_key", "group_key_file"],
];

/** Where systemd puts the credentials of our unit, for commands that are run beside it. */
const unitCredentials = "/run/credentials/mooring.service";

/** Changes `tables` in place; what is no text at these keys is the schema's to refuse. */
export function resolvePaths(tables: Tables, base: string): void {
  const credentials = process.env["CREDENTIALS_DIRECTORY"] ?? unitCredentials;
  const toRead = (path: string): string =>
    path.startsWith("credential:")
      ? join(credentials, path.slice("credential:".length))
      : resolve(base, path);
  const toWrite = (path: string): string => resolve(base, path);

  for (const path of readKeys) change(tables, path, toRead);
  change(tables, ["state", "directory"], toWrite);
  change(tables, ["daemon", "control_socket"], toWrite);
  const outputs = Array.isArray(tables["outputs"]) ? tables["outputs"] : [];
  for (const output of outputs.filter(isTable)) {
    change(output, ["path"], toWrite);
    change(output, ["template"], toRead);
  }
}

/** Changes the text at a key, when there is one; anything else is the schema's to refuse. */
function change(tables: Tables, [key, ...rest]: KeyPath, to: (text: string) => string): void {
  if (key === undefined || !Object.hasOwn(tables, key)) return;
  const value = tables[key];
  if (rest.length > 0) {
    if (isTable(value)) change(value, rest, to);
  } else if (typeof value === "string" && value !== "") {
    tables[key] = to(value);
  }
}
