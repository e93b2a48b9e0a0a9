// A secret on its way through the program. It prints as [secret] wherever it is logged, inspected or serialised;
// only reveal() gives the bytes, and wipe() clears them.

const hidden = "[secret]";

export class Secret {
  #bytes: Buffer;

  constructor(bytes: Uint8Array | string) {
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
