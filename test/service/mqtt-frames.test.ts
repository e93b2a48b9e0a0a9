import { duplexPair } from "node:stream";
import mqttPacket, { type Packet } from "mqtt-packet";
import { describe, expect, it } from "vitest";
import { parsePacket, readFrames } from "../../src/service/mqtt-frames.ts";
import { mqttSessions } from "../../src/service/mqtt-server.ts";
import { systemClock } from "../../src/system/clock.ts";
import { silentLog } from "../../src/system/log.ts";
import { recordingDeviceApi } from "./sockets.ts";

async function framesOf(...chunks: Buffer[]): Promise<string[]> {
  const [near, far] = duplexPair();
  for (const chunk of chunks) far.write(chunk);
  far.end();
  const frames: string[] = [];
  for await (const frame of readFrames(near, { frameTimeoutMs: 30_000 })) frames.push(frame.toString("hex"));
  return frames;
}

const hex = (text: string): Buffer => Buffer.from(text, "hex");

describe("frames", () => {
  it("are cut where they end, however they arrive", async () => {
    const frames = ["c000", "20020000", `30${"8001"}${"00".repeat(128)}`];
    const bytes = hex(frames.join(""));
    expect(await framesOf(bytes)).toEqual(frames);
    expect(await framesOf(...[...bytes].map((byte) => Buffer.from([byte])))).toEqual(frames);
    for (let at = 1; at < bytes.length; at++)
      expect(await framesOf(bytes.subarray(0, at), bytes.subarray(at))).toEqual(frames);
  });

  it("that never end are not given out", async () => {
    expect(await framesOf(hex("c0003005"), hex("00"))).toEqual(["c000"]);
  });

  it.each([
    { size: 256 * 1024, header: "30fcff0f" },
    { size: 256 * 1024 + 1, header: "30fdff0f" },
  ])("of $size bytes", async ({ size, header }) => {
    const frame = Buffer.concat([hex(header), Buffer.alloc(size - 4)]);
    const read = framesOf(frame);
    if (size <= 256 * 1024) expect(await read).toHaveLength(1);
    else await expect(read).rejects.toThrow("262145 bytes; 262144 are allowed");
  });

  it.each(["c0", "f000", "6000", "82020001ff", "100400044d51"])(
    "with nothing sensible in them are refused: %s",
    (frame) => {
      expect(() => parsePacket(hex(frame))).toThrow(expect.objectContaining({ name: "ProtocolViolation" }));
    },
  );
});

describe("a session", () => {
  const username = "0neFEEDC0DE/registrations/a/api-version=2019-03-31";
  const topic = "$dps/registrations/PUT/iotdps-register/?$rid=1";
  const packets: Packet[] = [
    { cmd: "connect", protocolId: "MQTT", protocolVersion: 4, clean: true, clientId: "a", username },
    { cmd: "subscribe", messageId: 1, subscriptions: [{ topic: "$dps/registrations/res/#", qos: 1 }] },
    { cmd: "publish", topic, payload: "{}", qos: 1, messageId: 2, dup: false, retain: false },
    { cmd: "disconnect" },
  ];
  const conversation = Buffer.concat(packets.map((packet) => mqttPacket.generate(packet)));

  it("survives whatever bytes it is sent, and ends with them", async () => {
    const { deviceApi, requests } = recordingDeviceApi();
    const sessions = mqttSessions({ deviceApi, clock: systemClock, log: silentLog });
    const converse = async (bytes: Buffer): Promise<void> => {
      const [near, far] = duplexPair();
      far.resume();
      far.on("error", () => {});
      const served = sessions.serve({ stream: near, transport: "mqtt", certificates: [] });
      far.end(bytes);
      await served;
    };
    await converse(conversation);
    expect(requests).toHaveLength(1); // it is a conversation before it is spoiled

    let seed = 20260401;
    const random = (below: number): number => {
      seed = (seed * 1103515245 + 12345) % 0x80000000;
      return Math.floor((seed / 0x80000000) * below);
    };
    const rounds = 1000;
    for (let round = 0; round < rounds; round++) {
      const bytes = Buffer.from(conversation);
      for (let change = random(4); change >= 0; change--) bytes[random(bytes.length)] = random(256);
      await converse(bytes.subarray(0, random(bytes.length * 2)));
    }
    expect(requests.length).toBeGreaterThan(rounds / 20);
    expect(requests.length).toBeLessThan(rounds);
  });
});
