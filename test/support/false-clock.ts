// A clock that is wrong for one process and its children, by libfaketime: for Node, OpenSSL and everything else in it.
// It can be set while they run. The monotonic clock is that of the machine.

import { globSync, renameSync, writeFileSync } from "node:fs";
import type { Gateway } from "./gateway.ts";

export interface FalseClock {
  readonly env: Readonly<Record<string, string>>;
  /** `-50y`, `+5y`, `+0`: from the true time, as faketime(1) has it. */
  set(offset: string): void;
}

export function falseClock(gateway: Gateway, offset: string): FalseClock {
  const [library] = globSync("/usr/lib/*/faketime/libfaketimeMT.so.1");
  if (library === undefined) throw new Error("libfaketime is not installed: see scripts/setup.sh");
  const file = gateway.file("clock");
  const clock: FalseClock = {
    env: {
      LD_PRELOAD: library,
      FAKETIME_TIMESTAMP_FILE: file,
      FAKETIME_NO_CACHE: "1",
      FAKETIME_DONT_FAKE_MONOTONIC: "1",
    },
    set: (to) => {
      // Whole: it is read at any moment.
      writeFileSync(`${file}.new`, `${to}\n`);
      renameSync(`${file}.new`, file);
    },
  };
  clock.set(offset);
  return clock;
}
