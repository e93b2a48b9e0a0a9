// How many devices registered in each minute of the last week: what a registration record, which is replaced by the
// next one, does not remember.

import type { DatabaseSync } from "node:sqlite";

interface RegistrationMinute {
  /** Minutes since 1970. */
  readonly minute: number;
  readonly assigned: number;
  readonly failed: number;
}

export interface RegistrationMinutes {
  count(minute: number, status: "assigned" | "failed"): void;
  /** Those in which somebody registered, in order. */
  since(minute: number): RegistrationMinute[];
}

/** The longest time that can be asked for. */
export const mostMinutes = 7 * 24 * 60;

export function registrationMinutes(db: DatabaseSync): RegistrationMinutes {
  const count = db.prepare(`
    INSERT INTO registration_minute VALUES ($minute, $assigned, 1 - $assigned)
    ON CONFLICT DO UPDATE SET assigned = assigned + $assigned, failed = failed + 1 - $assigned`);
  const since = db.prepare("SELECT * FROM registration_minute WHERE minute >= ? ORDER BY minute");
  const forget = db.prepare("DELETE FROM registration_minute WHERE minute < ?");
  let latest = 0;
  return {
    count(minute, status) {
      if (minute > latest) forget.run(minute - mostMinutes);
      latest = Math.max(latest, minute);
      count.run({ $minute: minute, $assigned: status === "assigned" ? 1 : 0 });
    },
    since: (minute) => since.all(minute) as unknown as RegistrationMinute[],
  };
}
