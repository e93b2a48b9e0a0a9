// How bytes travel through the FFI: inputs with their length, outputs with a capacity that becomes a length.

/** Capacities of native/mooring-tpm.h; NV indices are at most 64 KiB. */
export const capacity = {
  publicArea: 1024,
  wrappedKey: 4096,
  certificate: 65_536,
  name: 34,
  hmac: 32,
} as const;

/** The bytes that a verb wrote; undefined when it answered with an expected response code instead. */
export async function output(
  size: number,
  run: (out: Buffer, written: Buffer) => Promise<number>,
): Promise<Buffer | undefined> {
  const out = Buffer.alloc(size);
  const written = Buffer.from(Uint32Array.of(size).buffer);
  const rc = await run(out, written);
  return rc === 0 ? out.subarray(0, new Uint32Array(written.buffer)[0]) : undefined;
}

/** Bytes and their length, as C takes them. A copy: the thread reads it while the caller's bytes may change. */
export const sized = (bytes: Uint8Array): [Buffer, number] => [Buffer.from(bytes), bytes.length];

/** As tpm2-tools print handles. */
export const hex = (value: number): string => `0x${value.toString(16)}`;
