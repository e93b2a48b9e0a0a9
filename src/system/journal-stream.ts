// Whether what we write goes to systemd's journal. JOURNAL_STREAM alone does not say so: every descendant of a unit
// inherits it, whatever its output was redirected to (systemd.exec(5)).

import { fstatSync } from "node:fs";

/** True when file descriptor `fd` is the very stream that systemd connected to the journal. */
export function isJournalStream(fd: number): boolean {
  const stream = process.env["JOURNAL_STREAM"];
  if (!stream) return false;
  const { dev, ino } = fstatSync(fd, { bigint: true });
  return stream === `${dev}:${ino}`;
}
