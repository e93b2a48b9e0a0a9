// MQTT packets and the bytes they are: cuts the stream into whole control packets before anything interprets them,
// so that no client can make us hold more than one frame's worth, or leave half a frame with us for ever.

import { once } from "node:events";
import type { Duplex } from "node:stream";
import mqttPacket, { type Packet } from "mqtt-packet";

/** The client broke MQTT, or a limit of ours. The only answer is to close. Never leaves `service/`. */
export class ProtocolViolation extends Error {
  override readonly name = "ProtocolViolation";
}

/** What the most generous client library (C#) takes as one packet. */
const maxFrameBytes = 256 * 1024;
const frameTimeoutMs = 30_000;
const drainTimeoutMs = 30_000;

/** Whole control packets as they arrive, fixed header included. Throws ProtocolViolation, or the stream's error. */
export async function* readFrames(stream: Duplex): AsyncGenerator<Buffer, void> {
  let pending: Buffer = Buffer.alloc(0);
  let patience: NodeJS.Timeout | undefined;
  try {
    for await (const chunk of stream.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
      pending = pending.length === 0 ? chunk : Buffer.concat([pending, chunk]);
      for (let end = frameEnd(pending); end !== undefined; end = frameEnd(pending)) {
        clearTimeout(patience);
        patience = undefined;
        const frame = pending.subarray(0, end);
        pending = pending.subarray(end);
        yield frame;
      }
      if (pending.length > 0) patience ??= setTimeout(() => stream.destroy(), frameTimeoutMs);
    }
  } finally {
    clearTimeout(patience);
  }
}

/** Where the first frame ends; undefined until it is all there. (MQTT 3.1.1, 2.2.3 Remaining Length) */
function frameEnd(bytes: Buffer): number | undefined {
  let remaining = 0;
  for (let at = 1; at < bytes.length; at++) {
    const byte = bytes[at] as number;
    remaining += (byte & 0x7f) * 128 ** (at - 1);
    if (byte < 0x80) {
      const end = at + 1 + remaining;
      if (end > maxFrameBytes)
        throw new ProtocolViolation(`a packet of ${end} bytes; ${maxFrameBytes} are allowed`);
      return end <= bytes.length ? end : undefined;
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
