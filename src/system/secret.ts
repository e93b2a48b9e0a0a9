// A secret on its way through the program. It prints as [secret] wherever it is logged, inspected or serialised;
// only reveal() gives the bytes, and wipe() clears them.

import { silentLog } from "./log.ts";
import { systemAddon } from "./system-addon.ts";

const hidden = "[secret]";

let isGuarded = false;

/** From the first secret on, neither core files nor other processes of this user see this process's memory. */
function guardMemory(): void {
  if (isGuarded) return;
  isGuarded = true;
  systemAddon({ log: silentLog })?.makeUndumpable();
}

export class Secret {
  #bytes: Buffer;

  constructor(bytes: Uint8Array | string) {
    guardMemory();
    this.#bytes = Buffer.from(bytes as Uint8Array);
  }

  reveal(): Buffer {
    return this.#bytes;
  }

  wipe(): void {
    this.#bytes.fill(0);
  }

  toString(): string {
    return hidden;
  }

  toJSON(): string {
    return hidden;
  }

  [Symbol.for("nodejs.util.inspect.custom")](): string {
    return hidden;
  }
}
