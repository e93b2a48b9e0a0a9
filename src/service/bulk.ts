// Up to ten enrollments in one request. Each of them succeeds or fails by itself.

import * as v from "valibot";
import type { EnrollmentKind } from "./enrollment-kind.ts";
import {
  type AnyEnrollment,
  findEnrollment,
  removeEnrollment,
  type WriteContext,
  writeEnrollment,
} from "./enrollments.ts";
import { jsonObject, readInput } from "./json-input.ts";
import { Refusal } from "./refusal.ts";

const largestBulk = 10;

const bulkModes = ["create", "update", "updateIfMatchETag", "delete"] as const;
type BulkMode = (typeof bulkModes)[number];

interface BulkError {
  readonly registrationId?: string;
  readonly enrollmentGroupId?: string;
  readonly errorCode: number;
  readonly errorStatus: string;
}

export interface BulkResult {
  readonly isSuccessful: boolean;
  readonly errors: readonly BulkError[];
}

export function runBulk<Row extends AnyEnrollment>(
  kind: EnrollmentKind<Row>,
  body: unknown,
  context: WriteContext,
): BulkResult {
  const { mode, items } = readBulk(kind, body);
  const errors: BulkError[] = [];
  // One transaction waits for the disk once, and not ten times.
  context.store.transaction(() => {
    for (const item of items) {
      try {
        runItem(kind, mode, item, context);
      } catch (error) {
        if (!(error instanceof Refusal)) throw error;
        const { errorCode, message: errorStatus } = error;
        errors.push({ [kind.idMember]: item.id, errorCode, errorStatus });
      }
    }
  });
  return { isSuccessful: errors.length === 0, errors };
}

interface BulkItem {
  readonly id: string;
  readonly etag?: string;
  readonly body: unknown;
}

function readBulk(
  { plural, idMember }: Pick<EnrollmentKind<AnyEnrollment>, "plural" | "idMember">,
  body: unknown,
): { mode: BulkMode; items: BulkItem[] } {
  const item = v.looseObject({ [idMember]: v.string(), etag: v.nullish(v.string()) });
  const schema = jsonObject({ mode: v.string(), [plural]: v.array(item) });
  const input = readInput(schema, body) as Record<string, unknown>;
  const given = input["mode"] as string;
  // SDKs disagree about the case of updateIfMatchETag.
  const mode = bulkModes.find((each) => each.toLowerCase() === given.toLowerCase());
  if (!mode) throw new Refusal(400000, `mode: expected one of ${bulkModes.join(", ")}`);
  const rows = input[plural] as { [member: string]: unknown; etag?: string | null }[];
  if (rows.length === 0 || rows.length > largestBulk) {
    throw new Refusal(400000, `${plural}: expected 1 to ${largestBulk} items, received ${rows.length}`);
  }
  const items = rows.map((row) => ({
    id: row[idMember] as string,
    ...(row.etag && { etag: row.etag }),
    body: row,
  }));
  return { mode, items };
}

function runItem<Row extends AnyEnrollment>(
  kind: EnrollmentKind<Row>,
  mode: BulkMode,
  { id, etag, body }: BulkItem,
  context: WriteContext,
): void {
  if (mode === "delete") {
    removeEnrollment(kind, { id }, context);
    return;
  }
  const exists = kind.table(context.store).get(id) !== undefined;
  if (mode === "create" && exists) {
    throw new Refusal(409000, `Enrollment already exists: ${kind.idMember} ${JSON.stringify(id)}.`);
  }
  if (mode !== "create" && !exists) findEnrollment(kind, context.store, id);
  if (mode === "updateIfMatchETag" && etag === undefined) throw new Refusal(400000, "etag: missing");
  writeEnrollment(kind, { id, body, ifMatch: mode === "updateIfMatchETag" ? etag : undefined }, context);
}
