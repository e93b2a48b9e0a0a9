// When this program was built: no clock that says an earlier time can be right.

import { statSync } from "node:fs";
import { join } from "node:path";

/** Put in by scripts/build.mjs, in milliseconds since 1970. */
declare const MOORING_BUILT_AT: number;

/** Milliseconds since 1970. Run from its sources, it is as old as its manifest. */
export const builtAt = (): number =>
  typeof MOORING_BUILT_AT === "number"
    ? MOORING_BUILT_AT
    : statSync(join(import.meta.dirname, "../../package.json")).mtimeMs;
