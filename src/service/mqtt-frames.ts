// MQTT packets and the bytes they are: cuts the stream into whole control packets before anything interprets them,
// so that no client can make us hold more than one frame's worth, or leave half a frame with us for ever.

import { once } from "node:events";
import type { Duplex } from "node:stream";
import mqttPacket, { type Packet } from "mqtt-packet";

/** The client broke MQTT, or a limit of ours. The only answer is to close. Never leaves `service/`. */
export class ProtocolViolation extends Error {
  override readonly name = "ProtocolViolation";
}

/** Else the first packet makes a buffer for each number there is in 16 bits, and keeps them: some twelve megabytes. */
mqttPacket.writeToStream.cacheNumbers = false;

/** What the most generous client library (C#) takes as one packet. */
const maxFrameBytes = 256 * 1024;
const drainTimeoutMs = 30_000;

/**
 * Whole control packets as they arrive, fixed header included; one that is begun has to be whole within
 * `frameTimeoutMs`. Throws ProtocolViolation, or the stream's error.
 */
export async function* readFrames(
  stream: Duplex,
  { frameTimeoutMs }: { frameTimeoutMs: number },
): AsyncGenerator<Buffer, void> {
  let pending = new Pending();
  let patience: NodeJS.Timeout | undefined;
  try {
    for await (const chunk of stream.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
      pending.append(chunk);
      let { bytes } = pending;
      const before = bytes.length;
      for (let end = frameEnd(bytes); end !== undefined && end <= bytes.length; end = frameEnd(bytes)) {
        clearTimeout(patience);
        patience = undefined;
        yield bytes.subarray(0, end);
        bytes = bytes.subarray(end);
      }
      if (bytes.length < before) pending = new Pending(bytes);
      if (bytes.length > 0) patience ??= setTimeout(() => stream.destroy(), frameTimeoutMs);
    }
  } finally {
    clearTimeout(patience);
  }
}

/** The beginning of a frame. Its room doubles, so that one that comes by the byte is not copied for each of them. */
class Pending {
  #room: Buffer;
  #length: number;

  constructor(bytes: Buffer = Buffer.alloc(0)) {
    this.#room = bytes;
    this.#length = bytes.length;
  }

  get bytes(): Buffer {
    return this.#room.subarray(0, this.#length);
  }

  append(chunk: Buffer): void {
    const length = this.#length + chunk.length;
    if (this.#length === 0) {
      this.#room = chunk;
    } else {
      if (length > this.#room.length) {
        const larger = Buffer.allocUnsafeSlow(Math.max(length, 2 * this.#room.length));
        this.#room.copy(larger, 0, 0, this.#length);
        this.#room = larger;
      }
      chunk.copy(this.#room, this.#length);
    }
    this.#length = length;
  }
}

/** Where the first frame ends; undefined until that can be told. (MQTT 3.1.1, 2.2.3 Remaining Length) */
function frameEnd(bytes: Buffer): number | undefined {
  let remaining = 0;
  for (let at = 1; at < bytes.length; at++) {
    const byte = bytes[at] as number;
    remaining += (byte & 0x7f) * 128 ** (at - 1);
    if (byte < 0x80) {
      const end = at + 1 + remaining;
      if (end > maxFrameBytes)
        throw new ProtocolViolation(`a packet of ${end} bytes; ${maxFrameBytes} are allowed`);
      return end;
    }
    if (at === 4) throw new ProtocolViolation("a remaining length of more than four bytes");
  }
  return undefined;
}

/** The packet in a frame. Throws ProtocolViolation. */
export function parsePacket(frame: Buffer): Packet {
  let packet: Packet | undefined;
  let fault: Error | undefined;
  const parser = mqttPacket.parser();
  parser.on("packet", (parsed) => {
    packet = parsed;
  });
  parser.on("error", (error: Error) => {
    fault = error;
  });
  parser.parse(frame);
  if (fault !== undefined || packet === undefined) {
    throw new ProtocolViolation(fault?.message ?? "a malformed packet", { cause: fault });
  }
  return packet;
}

/** Sends a packet. Waits while the client does not read, but not for ever. */
export async function sendPacket(stream: Duplex, packet: Packet): Promise<void> {
  if (stream.destroyed || stream.write(mqttPacket.generate(packet))) return;
  await once(stream, "drain", { signal: AbortSignal.timeout(drainTimeoutMs) });
}
