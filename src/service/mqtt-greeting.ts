// CONNECT and its answer. Who cannot be DPS's device at all is refused here; whose credential is wrong is let in and
// hears it as the answer to what it asks, because that is where DPS says it.

import type { IConnectPacket } from "mqtt-packet";
import type { DeviceApi } from "./device-api.ts";
import { ProtocolViolation, parsePacket, sendPacket } from "./mqtt-frames.ts";
import type { MqttLink } from "./mqtt-session.ts";
import { type MqttUser, parseUsername } from "./mqtt-words.ts";

export interface Greeted {
  readonly user: MqttUser;
  /** Seconds; 0 for none. */
  readonly keepalive: number;
  /** The password, a SAS token. */
  readonly authorization: string | undefined;
  /** Whether the credential is that of the device. */
  readonly isKnown: () => boolean;
}

/** Return codes of CONNACK (MQTT 3.1.1, 3.2.2.3). */
const accepted = 0;
const unacceptableProtocol = 1;
const identifierRejected = 2;
const badUsername = 4;

/** Answers the first frame of a connection; undefined when it had to be refused. Throws ProtocolViolation. */
export async function greet(
  { stream, transport, certificates }: MqttLink,
  frame: Buffer,
  deviceApi: Pick<DeviceApi, "welcomes" | "knows">,
): Promise<Greeted | undefined> {
  const answer = (returnCode: number): Promise<void> =>
    sendPacket(stream, { cmd: "connack", sessionPresent: false, returnCode });
  const refuse = async (returnCode: number): Promise<undefined> => void (await answer(returnCode));

  const level = protocolLevel(frame);
  if (level !== undefined && level !== 4) return refuse(unacceptableProtocol);
  const packet = parsePacket(frame);
  if (packet.cmd !== "connect") throw new ProtocolViolation(`${packet.cmd} before CONNECT`);
  const { clientId, username = "", password, keepalive = 0 } = packet as IConnectPacket;
  const user = parseUsername(username);
  if (user === undefined) return refuse(badUsername);
  if (clientId.toLowerCase() !== user.registrationId.toLowerCase()) return refuse(identifierRejected);
  const authorization = password?.toString() || undefined;
  const caller = { ...user, transport, certificates, ...(authorization && { authorization }) };
  if (!deviceApi.welcomes(caller)) return undefined;
  await answer(accepted);
  return { user, keepalive, authorization, isKnown: () => deviceApi.knows(caller) };
}

/** What a CONNECT frame asks for, in whatever protocol; the parser would not tell. Undefined when it is no CONNECT. */
function protocolLevel(frame: Buffer): number | undefined {
  if (frame[0] !== 0x10) return undefined;
  const body = frame.subarray(frame.findIndex((byte, at) => at > 0 && byte < 0x80) + 1);
  return body.length < 3 ? undefined : body[2 + body.readUInt16BE(0)];
}
