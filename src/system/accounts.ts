// Names and numbers of users and groups, from /etc/passwd and /etc/group: configuration says names, the kernel
// takes numbers.

import { readFileSync } from "node:fs";

/** Number of a user, given its name or number; undefined when there is none of this name. */
export const userId = (name: string): number | undefined => idOf("/etc/passwd", name);

/** Number of a group, given its name or number; undefined when there is none of this name. */
export const groupId = (name: string): number | undefined => idOf("/etc/group", name);

/** Name of a user, or its number where it has none. */
export const userName = (id: number): string =>
  accounts("/etc/passwd").find((account) => account.id === id)?.name ?? String(id);

/** Name of a group, or its number where it has none. */
export const groupName = (id: number): string =>
  accounts("/etc/group").find((account) => account.id === id)?.name ?? String(id);

function idOf(file: string, name: string): number | undefined {
  if (/^\d+$/.test(name)) return Number(name);
  return accounts(file).find((account) => account.name === name)?.id;
}

function accounts(file: string): { name: string; id: number }[] {
  let content: string;
  try {
    content = readFileSync(file, "utf8");
  } catch {
    return [];
  }
  return content
    .split("\n")
    .map((line) => line.split(":"))
    .filter(([name, , id]) => name && id && /^\d+$/.test(id))
    .map(([name = "", , id]) => ({ name, id: Number(id) }));
}
