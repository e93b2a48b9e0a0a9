// One device's conversation over MQTT 3.1.1, from CONNECT to the end. There is no broker: what a device publishes
// is a question to the DeviceApi, and the answer goes down the same connection and nowhere else.

import { randomUUID } from "node:crypto";
import type { Duplex } from "node:stream";
import type { IPublishPacket, ISubscribePacket, IUnsubscribePacket, Packet } from "mqtt-packet";
import { responseFilter, responseTopic } from "../registration/wire.ts";
import type { Clock } from "../system/clock.ts";
import type { Log } from "../system/log.ts";
import { answerText } from "./delivery.ts";
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

/** How long the service waits for a device. */
export interface MqttLimits {
  /** For CONNECT on a new connection. */
  readonly greetingTimeoutMs: number;
  /** For the rest of a packet. */
  readonly frameTimeoutMs: number;
  /** For the next packet of a device that wants no keep-alive. */
  readonly silenceTimeoutMs: number;
}

export interface MqttSessionOptions {
  readonly deviceApi: DeviceApi;
  readonly clock: Clock;
  readonly log: Log;
  readonly limits: MqttLimits;
  /** Called with the device's name once it is greeted; whoever had that name before may have to leave. */
  readonly onGreeted: (clientKey: string, isKnown: () => boolean) => void;
}

const noSubscription = 0x80;

/** Of one device, when a scenario delays them. */
const mostLateAnswers = 100;

/** Serves the device until either side ends it. Throws what ended it, if that was not the device's DISCONNECT. */
export async function converse(link: MqttLink, options: MqttSessionOptions): Promise<void> {
  const { stream } = link;
  const { greetingTimeoutMs, silenceTimeoutMs } = options.limits;
  const frames = readFrames(stream, options.limits);
  const over = new AbortController();
  let idle = setTimeout(() => stream.destroy(), greetingTimeoutMs);
  try {
    const greeting = await frames.next();
    if (greeting.done) return;
    const greeted = await greet(link, greeting.value, options.deviceApi);
    if (greeted === undefined) return;
    clearTimeout(idle);
    const { user, keepalive } = greeted;
    options.onGreeted(`${user.idScope}/${user.registrationId}`.toLowerCase(), greeted.isKnown);

    // A device that stays silent for one and a half times its keep-alive is gone.
    idle = setTimeout(() => stream.destroy(), keepalive > 0 ? keepalive * 1500 : silenceTimeoutMs);
    const session = new MqttSession(link, greeted, { ...options, over });
    for await (const frame of frames) {
      idle.refresh();
      const packet = parsePacket(frame);
      if (packet.cmd === "disconnect") return;
      await session.receive(packet);
      if (over.signal.aborted) return;
    }
  } finally {
    clearTimeout(idle);
    over.abort();
  }
}

interface SessionOptions extends MqttSessionOptions {
  /** Aborted when the conversation ends; aborting it ends the conversation. */
  readonly over: AbortController;
}

class MqttSession {
  readonly #link: MqttLink;
  readonly #greeted: Greeted;
  readonly #options: SessionOptions;
  /** At what QoS the device subscribed to its answers; undefined while it has not. */
  #responseQos: 0 | 1 | undefined;
  #lastMessageId = 0;
  #lateAnswers = 0;

  constructor(link: MqttLink, greeted: Greeted, options: SessionOptions) {
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
    const answer = await this.#answer(request, payload as Buffer);
    const deliver = (): Promise<void> => this.#deliver(request, answer);
    const { delayMs } = answer.delivery ?? {};
    if (delayMs === undefined) await deliver();
    else this.#later(delayMs, deliver);
  }

  async #deliver({ encodedRequestId = "" }: MqttRequest, answer: DeviceAnswer): Promise<void> {
    const { status, body, retryAfterSeconds, delivery } = answer;
    const topic = responseTopic(status, encodedRequestId, retryAfterSeconds);
    const text = answerText(body, delivery);
    await this.#publish(topic, text);
    if (delivery?.twice) await this.#publish(topic, text);
    if (delivery?.close === "after") this.#options.over.abort();
  }

  /** A late answer holds nobody up: what the device says meanwhile is answered before. */
  #later(delayMs: number, deliver: () => Promise<void>): void {
    if (this.#lateAnswers >= mostLateAnswers) throw new ProtocolViolation("too many questions at once");
    this.#lateAnswers++;
    const { clock, over } = this.#options;
    clock
      .sleep(delayMs, { signal: over.signal })
      .then(deliver)
      .catch(() => {}) // the device has gone
      .finally(() => {
        this.#lateAnswers--;
      });
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
