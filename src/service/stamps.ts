// The service's own marks on its answers: dates, etags and operation ids in the forms that Azure's have.

import { createHash, randomUUID } from "node:crypto";

/** ISO 8601 UTC with seven fractional digits. */
export const azureTime = (ms: number): string => new Date(ms).toISOString().replace("Z", "0000Z");

/** A quoted GUID: the quotes are part of the value. */
export const newEtag = (): string => `"${randomUUID()}"`;

/** `5.<16 hex>.<guid>`; the middle part is the same for all operations of one registration. */
export function newOperationId(registrationKey: string): string {
  const partition = createHash("sha256").update(registrationKey).digest("hex").slice(0, 16);
  return `5.${partition}.${randomUUID()}`;
}
