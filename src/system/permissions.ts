// Why a file may not be read: whose it is, and who we are.

import { type Stats, statSync } from "node:fs";
import { dirname } from "node:path";
import { MooringError, systemCode } from "../errors.ts";
import { userName } from "./accounts.ts";

/** `; it belongs to root with mode 0600, and Mooring runs as mooring`: of the file, or of what it lies in. */
export function permissions(path: string): string {
  const reader = userName(process.geteuid?.() ?? 0);
  const stat = statOf(path);
  if (!stat && dirname(path) !== path)
    return permissions(dirname(path)).replace(/^; it /, `; ${dirname(path)} `);
  const owned = stat ? `; it belongs to ${userName(stat.uid)} with mode ${modeText(stat.mode)}` : "";
  return `${owned}, and Mooring runs as ${reader}`;
}

/** `cause` as ERR_PERMISSION; undefined when it is not that this user may not read the file. */
export function forbidden(what: string, path: string, cause: unknown): MooringError | undefined {
  if (!["EACCES", "EPERM"].includes(systemCode(cause) ?? "")) return undefined;
  const message = `cannot read ${what} ${path}${permissions(path)}`;
  return new MooringError("ERR_PERMISSION", message, { cause, path });
}

export const modeText = (mode: number): string => (mode & 0o7777).toString(8).padStart(4, "0");

function statOf(path: string): Stats | undefined {
  try {
    return statSync(path);
  } catch {
    return undefined;
  }
}
