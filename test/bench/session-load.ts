// One process full of MQTT sessions: each registers a device and stays, until the parent lets go.

import { createHmac } from "node:crypto";
import { once } from "node:events";
import { connect, createSecureContext, type TLSSocket } from "node:tls";
import mqttPacket, { type Packet } from "mqtt-packet";
import { sasToken } from "../../src/registration/sas.ts";
import {
  mqttUsername,
  registerTopic,
  registrationResource,
  responseFilter,
} from "../../src/registration/wire.ts";

export interface SessionLoad {
  readonly idScope: string;
  readonly port: number;
  readonly ca: string;
  /** Base64. */
  readonly groupKey: string;
  /** Sessions of this process, whose devices are called by `prefix` and a number. */
  readonly sessions: number;
  readonly prefix: string;
}

mqttPacket.writeToStream.cacheNumbers = false;

/** Handshakes under way at the same time. */
const atOnce = 16;

async function openSession(
  load: SessionLoad,
  secureContext: object,
  registrationId: string,
): Promise<TLSSocket> {
  const { idScope, port, groupKey } = load;
  const key = createHmac("sha256", Buffer.from(groupKey, "base64")).update(registrationId).digest();
  const password = await sasToken({
    resource: registrationResource(idScope, registrationId),
    expiresAtSeconds: Date.now() / 1000 + 3600,
    keyName: "registration",
    sign: async (data) => createHmac("sha256", key).update(data).digest(),
  });
  const socket = connect({ host: "127.0.0.1", servername: "localhost", port, ...secureContext });
  await once(socket, "secureConnect");
  const parser = mqttPacket.parser();
  const arrived: Packet[] = [];
  parser.on("packet", (packet) => arrived.push({ ...packet }));
  socket.on("data", (chunk: Buffer) => void parser.parse(chunk));
  const ask = async (packet: Packet, answers: number): Promise<Packet | undefined> => {
    socket.write(mqttPacket.generate(packet));
    while (arrived.length < answers) await once(socket, "data");
    return arrived.splice(0).at(-1);
  };
  const username = mqttUsername(idScope, registrationId, "bench");
  const session = { protocolId: "MQTT", protocolVersion: 4, clean: true, keepalive: 0 } as const;
  await ask(
    { cmd: "connect", ...session, clientId: registrationId, username, password: Buffer.from(password) },
    1,
  );
  await ask({ cmd: "subscribe", messageId: 1, subscriptions: [{ topic: responseFilter, qos: 1 }] }, 1);
  const publish = { topic: registerTopic("1"), payload: "", qos: 0, dup: false, retain: false } as const;
  const answer = await ask({ cmd: "publish", ...publish }, 1);
  if (answer?.cmd !== "publish" || !answer.topic.includes("/200/")) {
    throw new Error(`${registrationId} was not registered: ${JSON.stringify(answer)}`);
  }
  return socket;
}

async function run(load: SessionLoad): Promise<TLSSocket[]> {
  const tls = { secureContext: createSecureContext({ ca: load.ca }) };
  const sockets: TLSSocket[] = [];
  let next = 0;
  const opener = async (): Promise<void> => {
    while (next < load.sessions) sockets.push(await openSession(load, tls, `${load.prefix}-${next++}`));
  };
  await Promise.all(Array.from({ length: atOnce }, opener));
  return sockets;
}

const [load] = (await once(process, "message")) as [SessionLoad];
const sockets = await run(load);
process.send?.("open");
await once(process, "message");
const lost = sockets.filter(({ destroyed }) => destroyed).length;
for (const socket of sockets) socket.destroy();
process.send?.({ lost });
