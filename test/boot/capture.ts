// What went over the guest's cable, from the file that QEMU wrote (pcap, Ethernet): the IP packets that the guest sent.

export interface Packet {
  readonly protocol: "tcp" | "udp" | "other";
  readonly to: string;
  readonly port?: number;
}

const guest = "10.0.2.15";
const protocols: Readonly<Record<number, Packet["protocol"]>> = { 6: "tcp", 17: "udp" };

/** Address resolution and what a network card says to its neighbours is not counted: it leaves no cable. */
export function packetsIn(capture: Buffer): Packet[] {
  const packets: Packet[] = [];
  for (let at = 24; at + 16 <= capture.length; ) {
    const length = capture.readUInt32LE(at + 8);
    const packet = packetOf(capture.subarray(at + 16, at + 16 + length));
    if (packet) packets.push(packet);
    at += 16 + length;
  }
  return packets;
}

function packetOf(frame: Buffer): Packet | undefined {
  if (frame.length < 34 || frame.readUInt16BE(12) !== 0x0800) return undefined;
  const address = (at: number): string => frame.subarray(at, at + 4).join(".");
  if (address(26) !== guest) return undefined;
  const protocol = protocols[frame.readUInt8(23)] ?? "other";
  const payload = 14 + (frame.readUInt8(14) & 0x0f) * 4;
  const port = protocol !== "other" &&
    frame.length >= payload + 4 && { port: frame.readUInt16BE(payload + 2) };
  return { protocol, to: address(30), ...port };
}
