// Records that others may delete at any time.

import { MooringError } from "../errors.ts";

/** What the service answers; undefined when it knows no such record, or none any more. */
export async function ifThere<Answer>(asked: Promise<Answer>): Promise<Answer | undefined> {
  try {
    return await asked;
  } catch (error) {
    if (error instanceof MooringError && error.code === "ERR_ENROLLMENT_NOT_FOUND") return undefined;
    throw error;
  }
}
