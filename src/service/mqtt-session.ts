// One device's conversation over MQTT 3.1.1, from CONNECT to the end. There is no broker: what a device publishes
// is a question to the DeviceApi, and the answer goes down the same connection and nowhere else.

import { randomUUID } from "node:crypto";
import type { Duplex } from "node:stream";
import type { IPublishPacket, ISubscribePacket, IUnsubscribePacket, Packet } from "mqtt-packet";
import { responseFilter, responseTopic } from "../registration/wire.ts";
import type { Clock } from "../system/clock.ts";
import type { Log } from "../system/log.ts";
import type { DeviceAnswer, DeviceApi } from "./device-api.ts";
import { longestMessage } from "./device-request-body.ts";
import { ProtocolViolation, parsePacket, readFrames, sendPacket } from "./mqtt-frames.ts";
import { type Greeted, greet } from "./mqtt-greeting.ts";
import { type MqttRequest, parseRequestTopic } from "./mqtt-words.ts";
import { Refusal, refusalBody } from "./refusal.ts";

export interface MqttLink {
  readonly stream: Duplex;
  readonly transport: "mqtt" | "mqtt-ws";
  /** As for DeviceRequest. */
  readonly certificates: readonly Buffer[];
}

export interface MqttSessionOptions {
  readonly deviceApi: DeviceApi;
  readonly clock: Clock;
  readonly log: Log;
  /** How long a new connection may take to say CONNECT. */
  readonly greetingTimeoutMs: number;
  /** Called with the device's name once it is greeted; whoever had that name before is disconnected. */
  readonly onGreeted: (clientKey: string) => void;
}

const noSubscription = 0x80;

/** Serves the device until either side ends it. Throws what ended it, if that was not the device's DISCONNECT. */
export async function converse(link: MqttLink, options: MqttSessionOptions): Promise<void> {
  const { stream } = link;
  const frames = readFrames(stream);
  let idle = setTimeout(() => stream.destroy(), options.greetingTimeoutMs);
  try {
    const greeting = await frames.next();
    if (greeting.done) return;
    const greeted = await greet(stream, greeting.value);
    if (greeted === undefined) return;
    clearTimeout(idle);
    const { user, keepalive } = greeted;
    options.onGreeted(`${user.idScope}/${user.registrationId}`.toLowerCase());

    // A device that stays silent for one and a half times its keep-alive is gone; zero switches that off.
    if (keepalive > 0) idle = setTimeout(() => stream.destroy(), keepalive * 1500);
    const session = new MqttSession(link, greeted, options);
    for await (const frame of frames) {
      if (keepalive > 0) idle.refresh();
      const packet = parsePacket(frame);
      if (packet.cmd === "disconnect") return;
      await session.receive(packet);
    }
  } finally {
    clearTimeout(idle);
  }
}

class MqttSession {
  readonly #link: MqttLink;
  readonly #greeted: Greeted;
  readonly #options: MqttSessionOptions;
  /** At what QoS the device subscribed to its answers; undefined while it has not. */
  #responseQos: 0 | 1 | undefined;
  #lastMessageId = 0;

  constructor(link: MqttLink, greeted: Greeted, options: MqttSessionOptions) {
    this.#link = link;
    this.#greeted = greeted;
    this.#options = options;
  }

  async receive(packet: Packet): Promise<void> {
    switch (packet.cmd) {
      case "publish":
        return this.#receivePublish(packet);
      case "subscribe":
        return this.#subscribe(packet);
      case "unsubscribe":
        return this.#unsubscribe(packet);
      case "pingreq":
        return this.#send({ cmd: "pingresp" });
      case "puback":
        return; // sessions are not kept, so an answer is never sent twice
      default:
        throw new ProtocolViolation(`${packet.cmd} from a client in the middle of a session`);
    }
  }

  async #subscribe({ messageId, subscriptions }: ISubscribePacket): Promise<void> {
    if (subscriptions.length === 0) throw new ProtocolViolation("SUBSCRIBE without a filter");
    const granted = subscriptions.map(({ topic, qos }) => {
      if (topic !== responseFilter) return noSubscription;
      this.#responseQos = qos === 0 ? 0 : 1;
      return this.#responseQos;
    });
    await this.#send({ cmd: "suback", messageId: requireId(messageId), granted });
  }

  async #unsubscribe({ messageId, unsubscriptions }: IUnsubscribePacket): Promise<void> {
    if (unsubscriptions.length === 0) throw new ProtocolViolation("UNSUBSCRIBE without a filter");
    if (unsubscriptions.includes(responseFilter)) this.#responseQos = undefined;
    await this.#send({ cmd: "unsuback", messageId: requireId(messageId), granted: [] });
  }

  async #receivePublish({ topic, qos, messageId, payload }: IPublishPacket): Promise<void> {
    if (qos === 2) throw new ProtocolViolation("PUBLISH at QoS 2");
    const request = parseRequestTopic(topic);
    if (request === undefined) throw new ProtocolViolation(`PUBLISH to the unknown topic ${topic}`);
    // C#'s client insists on the acknowledgement before the answer.
    if (qos === 1) await this.#send({ cmd: "puback", messageId: requireId(messageId) });
    const { status, body, retryAfterSeconds } = await this.#answer(request, payload as Buffer);
    await this.#publish(
      responseTopic(status, request.encodedRequestId ?? "", retryAfterSeconds),
      JSON.stringify(body),
    );
  }

  async #answer(
    { operation, encodedRequestId, operationId }: MqttRequest,
    body: Buffer,
  ): Promise<DeviceAnswer> {
    const { deviceApi, log } = this.#options;
    const { user, authorization } = this.#greeted;
    const { transport, certificates } = this.#link;
    if (encodedRequestId === undefined) return this.#refuse(new Refusal(400000, "The topic has no $rid"));
    if (body.length > longestMessage) {
      return this.#refuse(new Refusal(413000, `The message is larger than ${longestMessage} bytes`));
    }
    try {
      return await deviceApi.handle({
        transport,
        operation,
        ...user,
        ...(operationId === undefined ? {} : { operationId }),
        body,
        ...(authorization === undefined ? {} : { authorization }),
        certificates,
      });
    } catch (error) {
      log.error("mqtt.failed", { operation, error });
      return this.#refuse(new Refusal(500000, "The service failed to answer this request"));
    }
  }

  #refuse(refusal: Refusal): DeviceAnswer {
    const requestId = randomUUID();
    const body = refusalBody(refusal, { requestId, now: this.#options.clock.now() });
    return { status: refusal.status, body, requestId };
  }

  /** To a device that has not subscribed this goes nowhere, as with any server of MQTT. */
  async #publish(topic: string, payload: string): Promise<void> {
    const qos = this.#responseQos;
    if (qos === undefined) return;
    this.#lastMessageId = (this.#lastMessageId % 0xffff) + 1;
    const id = qos === 0 ? {} : { messageId: this.#lastMessageId };
    await this.#send({ cmd: "publish", topic, payload, qos, ...id, dup: false, retain: false });
  }

  #send(packet: Packet): Promise<void> {
    return sendPacket(this.#link.stream, packet);
  }
}

function requireId(messageId: number | undefined): number {
  if (!messageId) throw new ProtocolViolation("a packet identifier of zero");
  return messageId;
}
