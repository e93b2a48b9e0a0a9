// The plug of the disk: a server of the network block device protocol, as far as QEMU's client goes through it
// (https://github.com/NetworkBlockDevice/nbd/blob/master/doc/proto.md: fixed newstyle, NBD_OPT_GO, simple replies).

import { once } from "node:events";
import { createServer, type Socket } from "node:net";
import { setTimeout as pause } from "node:timers/promises";
import type { ForgetfulDisk } from "./forgetful-disk.ts";

const command = { read: 0, write: 1, disconnect: 2, flush: 3 } as const;
const reply = { ack: 1, info: 3, unsupported: 0x8000_0001 } as const;
const optionGo = 7;
const forcedUnitAccess = 1;
/** That it has flags, and takes flushes and forced unit access. */
const transmissionFlags = 0b1101;
const invalid = 22; // EINVAL

/** Keeping for good takes its time, as on the cards and chips of gateways: the power may go in the middle of it. */
const longestFlushMs = 15;

/** On a Unix socket, until it is disposed of; what it has not taken from the line by then was never written. */
export async function serveDisk(disk: ForgetfulDisk, socket: string): Promise<AsyncDisposable> {
  const unplugged = new AbortController();
  const lines = new Set<Promise<void>>();
  const server = createServer((client) => {
    client.on("error", () => client.destroy()); // its end was killed
    const line = serve(disk, client, unplugged.signal).catch((error: Error) => void client.destroy(error));
    lines.add(line);
  }).listen(socket);
  await once(server, "listening");
  return {
    [Symbol.asyncDispose]: async () => {
      unplugged.abort();
      const closed = once(server, "close");
      server.close();
      await Promise.all([closed, ...lines]);
    },
  };
}

async function serve(disk: ForgetfulDisk, client: Socket, unplugged: AbortSignal): Promise<void> {
  const take = taker(client);
  client.write(Buffer.from("NBDMAGICIHAVEOPT\0\x03", "latin1")); // fixed newstyle, no zeroes
  if ((await take(4)) && (await negotiate(disk, client, take))) {
    while (!unplugged.aborted && (await obey(disk, client, take, unplugged)));
  }
  client.destroySoon();
}

type Take = (length: number) => Promise<Buffer | undefined>;

/** False when the client goes away. */
async function negotiate(disk: ForgetfulDisk, client: Socket, take: Take): Promise<boolean> {
  for (;;) {
    const head = await take(16);
    if (!head) return false;
    const option = head.readUInt32BE(8);
    await take(head.readUInt32BE(12));
    const answer = (type: number, content: Buffer = Buffer.alloc(0)): void => {
      const frame = Buffer.alloc(20);
      frame.writeBigUInt64BE(0x0003_e889_0455_65a9n);
      frame.writeUInt32BE(option, 8);
      frame.writeUInt32BE(type, 12);
      frame.writeUInt32BE(content.length, 16);
      client.write(Buffer.concat([frame, content]));
    };
    if (option !== optionGo) {
      answer(reply.unsupported);
      continue;
    }
    const facts = Buffer.alloc(12); // of the export: type 0, size, flags
    facts.writeBigUInt64BE(BigInt(disk.size), 2);
    facts.writeUInt16BE(transmissionFlags, 10);
    answer(reply.info, facts);
    answer(reply.ack);
    return true;
  }
}

/** One command. False when it was the last. */
async function obey(
  disk: ForgetfulDisk,
  client: Socket,
  take: Take,
  unplugged: AbortSignal,
): Promise<boolean> {
  const request = await take(28);
  if (request?.readUInt32BE(0) !== 0x2560_9513) return false;
  const isForced = (request.readUInt16BE(4) & forcedUnitAccess) !== 0;
  const type = request.readUInt16BE(6);
  const [offset, length] = [Number(request.readBigUInt64BE(16)), request.readUInt32BE(24)];
  const answer = (error = 0, content: Buffer = Buffer.alloc(0)): void => {
    const frame = Buffer.alloc(16);
    frame.writeUInt32BE(0x6744_6698);
    frame.writeUInt32BE(error, 4);
    request.copy(frame, 8, 8, 16); // the client's own mark
    client.write(content.length === 0 ? frame : Buffer.concat([frame, content]));
  };
  const keep = async (...range: readonly number[]): Promise<void> => {
    await pause(Math.random() * longestFlushMs, undefined, { signal: unplugged });
    disk.flush(...range);
    answer();
  };
  switch (type) {
    case command.read:
      answer(0, disk.read(offset, length));
      return true;
    case command.write: {
      const content = await take(length);
      if (!content) return false;
      disk.write(offset, content);
      if (isForced) await keep(offset, length);
      else answer();
      return true;
    }
    case command.flush:
      await keep();
      return true;
    case command.disconnect:
      return false;
    default:
      answer(invalid);
      return true;
  }
}

/** Takes exactly so many bytes from a stream; undefined once it is over. */
function taker(client: Socket): Take {
  const chunks: Buffer[] = [];
  let there = 0;
  let isOver = false;
  let wake = (): void => {};
  client.on("data", (chunk: Buffer) => {
    chunks.push(chunk);
    there += chunk.length;
    wake();
  });
  client.on("close", () => {
    isOver = true;
    wake();
  });
  return async (length) => {
    while (there < length) {
      if (isOver) return undefined;
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
    const all = chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks);
    chunks.splice(0, chunks.length, all.subarray(length));
    there -= length;
    return all.subarray(0, length);
  };
}
