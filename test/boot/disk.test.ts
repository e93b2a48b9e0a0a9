// The disk itself, spoken to by QEMU's own client: what was flushed is there after a power cut, and what was not has
// suffered.

import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterEach, beforeEach, expect, it } from "vitest";
import { temporaryDirectory } from "../support/temporary-directory.ts";
import { type ForgetfulDisk, openForgetfulDisk } from "./forgetful-disk.ts";
import { serveDisk } from "./nbd.ts";

const run = promisify(execFile);
const mebibyte = 1024 * 1024;

let disk: ForgetfulDisk;
let original: Buffer;
let originalFile: string;
let plug: string;
let served: AsyncDisposable;

beforeEach(async () => {
  const directory = temporaryDirectory();
  originalFile = join(directory, "original.img");
  original = randomBytes(2 * mebibyte);
  writeFileSync(originalFile, original);
  disk = openForgetfulDisk(originalFile, join(directory, "disk.img"));
  plug = join(directory, "disk.sock");
  served = await serveDisk(disk, plug);
});
afterEach(async () => {
  await served[Symbol.asyncDispose]();
  disk[Symbol.dispose]();
});

/** Does all of it, and goes without a word: an ordinary end would flush. */
async function qemu(...commands: readonly string[]): Promise<string> {
  const words = commands.flatMap((command) => ["-c", command]);
  const image = `driver=nbd,server.type=unix,server.path=${plug}`;
  const ended = run("qemu-io", ["--image-opts", "-t", "writeback", image, ...words, "-c", "abort"]);
  const { stdout, signal } = await ended.catch((error) => error);
  expect(signal, stdout).toBe("SIGABRT");
  expect(stdout).not.toMatch(/failed|error/i);
  return stdout;
}

/** How many of a mebibyte's blocks hold nothing but that byte. */
const blocksOf = (byte: string, from: number): number => {
  const block = Buffer.alloc(4096, byte);
  const all = disk.read(from, mebibyte);
  return Array.from({ length: 256 }, (_, nth) => all.subarray(nth * 4096, (nth + 1) * 4096)).filter((one) =>
    one.equals(block),
  ).length;
};

it("begins as the original, which nothing changes", async () => {
  await qemu("write -P 0x61 0 1M", "flush", "write -P 0x62 1M 1M");
  expect(readFileSync(originalFile)).toEqual(original);
});

it("keeps what was flushed, and by chance what was not", async () => {
  await qemu("write -P 0x61 0 1M", "flush", "write -P 0x62 1M 1M", "read -P 0x62 1M 1M");
  expect(blocksOf("b", mebibyte)).toBe(256); // before the power goes a cache is as good as the disk
  const { kept, lost } = disk.lose();
  expect(kept + lost).toBe(256);
  expect(Math.min(kept, lost)).toBeGreaterThan(64);
  expect([blocksOf("a", 0), blocksOf("b", mebibyte)]).toEqual([256, kept]);
});

it("keeps what is to be written through, and nothing beside it", async () => {
  await qemu("write -P 0x62 1M 1M", "write -f -P 0x61 0 1M");
  expect(disk.lose()).toMatchObject({ kept: expect.any(Number), lost: expect.any(Number) });
  expect(blocksOf("a", 0)).toBe(256);
  expect(blocksOf("b", mebibyte)).toBeLessThan(256);
});

it("takes writes that are no whole blocks", async () => {
  await qemu("write -P 0x61 512 1024", "write -P 0x62 4k 512", "flush");
  disk.lose();
  const expected = Buffer.from(original);
  expected.fill("a", 512, 1536).fill("b", 4096, 4608);
  expect(disk.read(0, 8192).equals(expected.subarray(0, 8192))).toBe(true);
});
