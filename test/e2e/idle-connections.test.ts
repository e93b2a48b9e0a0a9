// A thousand clients that connect and then do nothing, as a network scanner or a broken fleet would: the service's
// memory stays small, and a gateway is provisioned as ever.

import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { connect, createSecureContext, type TLSSocket } from "node:tls";
import { expect, it } from "vitest";
import { createGateway } from "../support/gateway.ts";
import { startService } from "../support/local-service.ts";
import { succeed } from "../support/mooring.ts";

const residentMiB = (pid: number): number =>
  Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]) / 1024;

it("a thousand idle TLS connections cost less than 150 MiB and keep no gateway out", async () => {
  await using service = await startService("--hub", "hub.example");
  using gateway = createGateway();
  const key = Buffer.alloc(32, 7).toString("base64");
  writeFileSync(gateway.file("key"), key, { mode: 0o600 });
  await service.enroll("/enrollments/gw-1", {
    registrationId: "gw-1",
    attestation: { type: "symmetricKey", symmetricKey: { primaryKey: key, secondaryKey: key } },
  });
  const configure = (transport: string): void =>
    gateway.configure(service, {
      identity: `[identity]\nsource = "symmetric-key"\nregistration_id = "gw-1"\n[identity.symmetric_key]\nkey_file = "${gateway.file("key")}"\n`,
      provisioning: `transport = "${transport}"`,
    });
  configure("https");
  await succeed(gateway.run("provision"));
  const before = residentMiB(service.pid);

  const secureContext = createSecureContext({ ca: readFileSync(service.caFile) });
  const idle: TLSSocket[] = [];
  const dial = async (port: number): Promise<void> => {
    const socket = connect({ host: "127.0.0.1", servername: "localhost", port, secureContext });
    idle.push(socket.on("error", () => {}));
    await once(socket, "secureConnect");
  };
  try {
    for (let batch = 0; batch < 20; batch++) {
      const port = batch % 2 === 0 ? service.httpsPort : service.mqttPort;
      await Promise.all(Array.from({ length: 50 }, () => dial(port)));
    }
    expect(residentMiB(service.pid) - before).toBeLessThan(150);
    for (const transport of ["https", "mqtt", "mqtt-ws"]) {
      configure(transport);
      expect(await succeed(gateway.run("reprovision"))).toMatchObject({ transport });
    }
  } finally {
    for (const socket of idle) socket.destroy();
  }
});
