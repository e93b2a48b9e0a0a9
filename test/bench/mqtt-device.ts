// One registration over MQTT, with as little of a client as there can be: what is measured is the service.

import { once } from "node:events";
import { connect, type SecureContext } from "node:tls";
import { generate, type Packet, parser } from "mqtt-packet";
import { mqttUsername, registerTopic, responseFilter } from "../../src/registration/wire.ts";

export interface MqttDevice {
  readonly idScope: string;
  readonly registrationId: string;
  readonly secureContext: SecureContext;
  /** The SAS token. */
  readonly password?: string;
}

/** Resolves to the body of the answer, which a service that answers at once gives without a poll. */
export async function registerOverMqtt(port: number, device: MqttDevice): Promise<{ status?: string }> {
  const { idScope, registrationId, secureContext, password } = device;
  const socket = connect({ host: "localhost", port, secureContext });
  try {
    await once(socket, "secureConnect");
    const packets: Packet[] = [];
    const parse = parser({ protocolVersion: 4 }).on("packet", (packet) => packets.push(packet));
    const answer = async (): Promise<Packet> => {
      while (packets.length === 0) parse.parse((await once(socket, "data"))[0]);
      return packets.shift() as Packet;
    };
    const username = mqttUsername(idScope, registrationId, "bench");
    socket.write(
      generate({
        ...{ cmd: "connect", protocolId: "MQTT", protocolVersion: 4, clean: true, keepalive: 60 },
        ...{
          clientId: registrationId,
          username,
          ...(password !== undefined && { password: Buffer.from(password) }),
        },
      }),
    );
    await answer();
    socket.write(
      generate({ cmd: "subscribe", messageId: 1, subscriptions: [{ topic: responseFilter, qos: 0 }] }),
    );
    await answer();
    const payload = JSON.stringify({ registrationId });
    socket.write(
      generate({ cmd: "publish", topic: registerTopic("1"), payload, qos: 0, dup: false, retain: false }),
    );
    const published = await answer();
    if (published.cmd !== "publish") throw new Error(`the answer is a ${published.cmd}`);
    return JSON.parse(published.payload.toString());
  } finally {
    socket.destroy();
  }
}
