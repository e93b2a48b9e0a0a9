// A disk as gateways have it: what it was not told to keep is in its cache, and of that a power cut leaves some blocks
// and loses others, in no order. It begins as another disk and keeps only what is different.

import { closeSync, fstatSync, ftruncateSync, openSync, readSync, writeSync } from "node:fs";

/** What is written whole or not at all; file systems have blocks of this size. */
const blockSize = 4096;

export interface ForgetfulDisk extends Disposable {
  /** Bytes; whole blocks. */
  readonly size: number;
  read(offset: number, length: number): Buffer;
  /** Into the cache, where a later read finds it. */
  write(offset: number, content: Buffer): void;
  /** Keeps what is in the cache for good, or only what is in it of this range. */
  flush(offset?: number, length?: number): void;
  /** The power goes. */
  lose(): Loss;
}

/** How many of the blocks in the cache chance left, and how many not. */
export interface Loss {
  readonly kept: number;
  readonly lost: number;
}

/** `original` is only read; `file` is made, and holds the difference for as long as this process has the disk. */
export function openForgetfulDisk(original: string, file: string): ForgetfulDisk {
  const [there, different] = [openSync(original, "r"), openSync(file, "wx+", 0o600)];
  const { size } = fstatSync(there);
  if (size % blockSize !== 0) throw new Error(`${original} has no whole number of blocks`);
  ftruncateSync(different, size);
  const onDisk = new Set<number>();
  const cache = new Map<number, Buffer>();

  const block = (number: number): Buffer => {
    const cached = cache.get(number);
    if (cached) return cached;
    const content = Buffer.allocUnsafe(blockSize);
    readSync(onDisk.has(number) ? different : there, content, 0, blockSize, number * blockSize);
    return content;
  };
  const keep = (number: number, content: Buffer): void => {
    writeSync(different, content, 0, blockSize, number * blockSize);
    onDisk.add(number);
  };

  return {
    size,
    read: (offset, length) => {
      const parts: Buffer[] = [];
      for (const { number, from, to } of blocksOf(offset, length))
        parts.push(block(number).subarray(from, to));
      return Buffer.concat(parts);
    },
    write: (offset, content) => {
      let done = 0;
      for (const { number, from, to } of blocksOf(offset, content.length)) {
        // Another buffer each time: a read may still be on its way with the one before.
        const changed = Buffer.from(block(number));
        done += content.copy(changed, from, done, done + to - from);
        cache.set(number, changed);
      }
    },
    flush: (offset = 0, length = size) => {
      const [first, end] = [Math.floor(offset / blockSize), Math.ceil((offset + length) / blockSize)];
      for (const [number, content] of cache) {
        if (number < first || number >= end) continue;
        keep(number, content);
        cache.delete(number);
      }
    },
    lose: () => {
      const total = cache.size;
      for (const [number, content] of cache) {
        if (Math.random() < 0.5) continue;
        keep(number, content);
        cache.delete(number);
      }
      const lost = cache.size;
      cache.clear();
      return { kept: total - lost, lost };
    },
    [Symbol.dispose]: () => {
      closeSync(there);
      closeSync(different);
    },
  };
}

/** The blocks that a range touches, and which bytes of each. */
function* blocksOf(offset: number, length: number): Generator<{ number: number; from: number; to: number }> {
  const end = offset + length;
  for (let at = offset; at < end; ) {
    const number = Math.floor(at / blockSize);
    const to = Math.min(end - number * blockSize, blockSize);
    yield { number, from: at - number * blockSize, to };
    at = number * blockSize + to;
  }
}
