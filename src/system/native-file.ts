// Where the compiled parts are that `make -C native` builds, from wherever this program runs.

import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** Places where a compiled file may be, in order. */
export function nativePlaces(fileName: string): string[] {
  const here = dirname(fileURLToPath(import.meta.url));
  // dist/*.js, then src/system/*.ts, then the package's own directory.
  return [
    join(here, "../native/build", fileName),
    join(here, "../../native/build", fileName),
    join("/usr/lib/mooring", fileName),
  ];
}
