// Where the compiled parts are that `make -C native` builds, from wherever this program runs.

import { join } from "node:path";

/** Places where a compiled file may be, in order. */
export function nativePlaces(fileName: string): string[] {
  const here = import.meta.dirname;
  // A package has them beside the program; otherwise it is dist/*.js or src/system/*.ts that looks for them.
  return [here, join(here, "../native/build"), join(here, "../../native/build")].map((directory) =>
    join(directory, fileName),
  );
}
