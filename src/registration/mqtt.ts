// DPS over MQTT 3.1.1, on TCP (8883) or inside WebSockets (443): one session, one subscription, and every question
// is a publish whose answer carries the same $rid.

import { randomUUID } from "node:crypto";
import type { Duplex } from "node:stream";
import type { IClientOptions } from "mqtt";
import clientModule from "mqtt/lib/client";
import mqttPacket from "mqtt-packet";
import { MooringError } from "../errors.ts";
import { networkError } from "../system/network-error.ts";
import { parseJson } from "./https.ts";
import { openTlsSocket } from "./tls-socket.ts";
import type { DpsAnswer, DpsRequest, Endpoint, Transport } from "./transport.ts";
import { mqttUsername, operationTopic, parseResponseTopic, registerTopic, responseFilter } from "./wire.ts";

/** Longest silence that common load balancers bear, with room to spare. */
const keepAliveSeconds = 180;

/** DPS's messages have at most 96 KB; what sends more than this for one question is not DPS. */
const maxAnswerBytes = 256 * 1024;

/** A server that has gone without a word is noticed by this, and not by the end of the whole attempt. */
const subscribeTimeoutMs = 10_000;
const answerTimeoutMs = 30_000;

/** How long a server may take to close the line after DISCONNECT. */
const goodbyeMs = 1_000;

/** The client class alone: `connect()` of the package would bring its own sockets, and load them all. */
const MqttClient = clientModule.default;

/** Else the first packet makes a buffer for each number there is in 16 bits: more time and memory than all the rest. */
mqttPacket.writeToStream.cacheNumbers = false;

type Name = "mqtt" | "mqtt-ws";

export function openMqtt(name: Name, endpoint: Endpoint, options: { clientVersion: string }): Transport {
  let session: Promise<Session> | undefined;
  return {
    name,
    async send(question, { signal }) {
      session ??= Session.open(name, endpoint, options.clientVersion, question.authorization, signal);
      try {
        return await (await session).ask(question, signal);
      } catch (error) {
        // A broken session is not used again: the next question opens a new one, with a new token.
        const broken = session;
        session = undefined;
        broken?.then((s) => s.end()).catch(() => {});
        throw error;
      }
    },
    async close() {
      const open = await session?.catch(() => undefined);
      await open?.end();
    },
  };
}

/** One CONNECT, one SUBSCRIBE. */
class Session {
  readonly #client: InstanceType<typeof MqttClient>;
  readonly #line: Duplex;
  readonly #where: string;
  readonly #waiting = new Map<string, (answer: DpsAnswer) => void>();
  readonly #lost: Promise<never>;
  /** Bytes that came since the last question. */
  #taken = 0;

  private constructor(line: Duplex, where: string, connect: IClientOptions) {
    const client = new MqttClient(() => line as never, connect);
    this.#client = client;
    this.#line = line;
    this.#where = where;
    this.#lost = new Promise((_resolve, reject) => {
      client.on("error", (error) => reject(this.#failure(error)));
      client.on("close", () =>
        reject(new MooringError("ERR_CONNECTION_LOST", `${where} closed the MQTT session`)),
      );
      // The client's parser keeps whatever is announced, up to 256 MiB.
      line.on("data", (bytes: Uint8Array) => {
        this.#taken += bytes.length;
        if (this.#taken <= maxAnswerBytes) return;
        const why = `what ${where} answers is longer than ${maxAnswerBytes} bytes`;
        reject(new MooringError("ERR_PROTOCOL", why));
        line.destroy();
      });
    });
    this.#lost.catch(() => {});
    client.on("message", (topic, payload) => this.#receive(topic, payload));
  }

  static async open(
    name: Name,
    endpoint: Endpoint,
    clientVersion: string,
    password: string | undefined,
    signal: AbortSignal,
  ): Promise<Session> {
    const where = `${endpoint.host}:${endpoint.port}`;
    const tls = await openTlsSocket(endpoint, { signal });
    const line: Duplex =
      name === "mqtt" ? tls : await (await import("./websocket.ts")).openWebSocket(tls, endpoint, { signal });
    const connect: IClientOptions = {
      protocolVersion: 4,
      clientId: endpoint.registrationId,
      username: mqttUsername(endpoint.idScope, endpoint.registrationId, clientVersion),
      ...(password !== undefined && { password }),
      clean: true,
      keepalive: keepAliveSeconds,
      reconnectPeriod: 0,
      connectTimeout: 10_000,
      resubscribe: false,
    };
    const session = new Session(line, where, connect);
    try {
      await session.#race(signal, (done) => session.#client.once("connect", () => done(undefined)));
      await session.#race(
        signal,
        (done, fail) =>
          session.#client.subscribe(responseFilter, { qos: 1 }, (error, granted) => {
            if (error) fail(session.#failure(error));
            else if (granted?.[0] && granted[0].qos > 1)
              fail(
                new MooringError("ERR_PROTOCOL", `${where} refused the subscription to ${responseFilter}`),
              );
            else done(undefined);
          }),
        subscribeTimeoutMs,
      );
      return session;
    } catch (error) {
      void session.end();
      throw error;
    }
  }

  async ask(question: DpsRequest, signal: AbortSignal): Promise<DpsAnswer> {
    const requestId = randomUUID();
    this.#taken = 0;
    const [topic, payload] =
      question.kind === "register"
        ? [registerTopic(requestId), JSON.stringify(question.body)]
        : [operationTopic(requestId, question.operationId), " "];
    try {
      return await this.#race<DpsAnswer>(
        signal,
        (done, fail) => {
          this.#waiting.set(requestId, done);
          this.#client.publish(topic, payload, { qos: 1 }, (error) => error && fail(this.#failure(error)));
        },
        answerTimeoutMs,
      );
    } finally {
      this.#waiting.delete(requestId);
    }
  }

  /** DISCONNECT; a line that the other side then leaves open is closed from here. */
  async end(): Promise<void> {
    if (this.#line.closed) return;
    const closed = new Promise<void>((resolve) => this.#line.once("close", resolve));
    const enough = setTimeout(() => this.#line.destroy(), goodbyeMs);
    this.#client.end(!this.#client.connected);
    await closed;
    clearTimeout(enough);
  }

  /** Answers to questions nobody waits for (duplicates, late ones, other clients') are dropped. */
  #receive(topic: string, payload: Uint8Array): void {
    const response = parseResponseTopic(topic);
    if (response?.requestId === undefined) return;
    const { status, requestId, retryAfterSeconds } = response;
    this.#waiting.get(requestId)?.({
      status,
      body: parseJson(payload),
      ...(retryAfterSeconds !== undefined && { retryAfterMs: retryAfterSeconds * 1000 }),
    });
  }

  /** Settles with the act, the loss of the session, the signal, or the end of patience: whichever is first. */
  async #race<T>(
    signal: AbortSignal,
    act: (done: (value: T) => void, fail: (error: Error) => void) => void,
    patienceMs?: number,
  ): Promise<T> {
    signal.throwIfAborted();
    let timer: NodeJS.Timeout | undefined;
    let onAbort = (): void => {};
    const aborted = new Promise<never>((_resolve, reject) => {
      onAbort = () => reject(signal.reason);
      signal.addEventListener("abort", onAbort, { once: true });
      if (patienceMs === undefined) return;
      const why = `${this.#where} said nothing over MQTT within ${patienceMs / 1000} s`;
      timer = setTimeout(() => reject(new MooringError("ERR_CONNECTION_LOST", why)), patienceMs);
    });
    try {
      return await Promise.race([new Promise<T>(act), this.#lost, aborted]);
    } finally {
      clearTimeout(timer);
      signal.removeEventListener("abort", onAbort);
    }
  }

  /** CONNACK codes of MQTT 3.1.1 §3.2.2.3 come as errors with a number for a code. */
  #failure(error: Error & { code?: unknown }): MooringError {
    const attempted = `speak MQTT with ${this.#where}`;
    if (typeof error.code !== "number") return networkError(error, attempted);
    const code =
      error.code === 3
        ? "ERR_SERVICE_UNAVAILABLE"
        : error.code >= 4
          ? "ERR_UNAUTHORIZED"
          : "ERR_REQUEST_REFUSED";
    return new MooringError(code, `cannot ${attempted}: CONNECT was refused with code ${error.code}`, {
      cause: error,
    });
  }
}
