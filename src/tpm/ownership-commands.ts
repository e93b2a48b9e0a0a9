// What ownership is made of, on a real TPM: persistent objects and the NV indices that mark them.

import { capacity, hex, output, sized } from "./arguments.ts";
import type { Connection } from "./connection.ts";
import type { OwnershipCommands } from "./ownership.ts";
import { ownRc, rcNvSpace } from "./response-codes.ts";

/** Every command must run inside `exclusively`. */
export function ownershipCommands(connection: Connection): OwnershipCommands {
  const { call } = connection;
  return {
    readPublic: (handle) =>
      output(capacity.publicArea, (out, size) =>
        call("read_public", [handle, out, size], {
          attempted: `cannot read what is at ${hex(handle)}`,
          expected: [ownRc.absent],
        }),
      ),
    readMarker: async (index) => {
      const name = Buffer.alloc(capacity.name);
      const expected = [ownRc.absent, ownRc.otherIndex];
      const rc = await call("read_marker", [index, name], {
        attempted: `cannot read the marker ${hex(index)}`,
        expected,
      });
      return rc === 0 ? name : undefined;
    },
    writeMarker: async (index, name) => {
      const expected = [ownRc.otherIndex, rcNvSpace];
      return (
        (await call("write_marker", [index, name], {
          attempted: `cannot write the marker ${hex(index)}`,
          expected,
        })) === 0
      );
    },
    removeMarker: async (index) => {
      const expected = [ownRc.absent, ownRc.otherIndex];
      await call("remove_marker", [index], { attempted: `cannot remove the marker ${hex(index)}`, expected });
    },
    evict: async (handle, name) => {
      await call("evict", [handle, name], { attempted: `cannot evict the key at ${hex(handle)}` });
    },
    persist: async (wrappedKey, handle) => {
      const attempt = { attempted: `cannot make the key persistent at ${hex(handle)}`, usesKey: true };
      await call("persist", [...sized(wrappedKey), handle], attempt);
    },
  };
}
