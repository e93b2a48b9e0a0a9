// A site comes back after a power cut: many gateways ask at once, each gets its own answer, and the service lives.

import { createHmac, randomBytes } from "node:crypto";
import { writeFileSync } from "node:fs";
import { expect, it } from "vitest";
import { createGateway } from "../support/gateway.ts";
import { startService } from "../support/local-service.ts";
import { succeed } from "../support/mooring.ts";

it("twelve gateways that start together over three transports are all assigned, each as itself", async () => {
  await using service = await startService("--hub", "hub-1.example", "--hub", "hub-2.example");
  const groupKey = randomBytes(32);
  const primaryKey = groupKey.toString("base64");
  await service.enroll("/enrollmentGroups/site", {
    enrollmentGroupId: "site",
    attestation: { type: "symmetricKey", symmetricKey: { primaryKey, secondaryKey: primaryKey } },
  });
  const gateways = Array.from({ length: 12 }, (_, number) => {
    const name = `gw-${number}`;
    const gateway = createGateway();
    const keyFile = gateway.file("key");
    writeFileSync(keyFile, createHmac("sha256", groupKey).update(name).digest("base64"), { mode: 0o600 });
    gateway.configure(service, {
      identity: `[identity]\nsource = "symmetric-key"\nregistration_id = "${name}"\n[identity.symmetric_key]\nkey_file = "${keyFile}"\n`,
      provisioning: `transport = "${["https", "mqtt", "mqtt-ws"][number % 3]}"`,
    });
    return { name, gateway };
  });
  try {
    const answers = await Promise.all(gateways.map(({ gateway }) => succeed(gateway.run("provision"))));
    expect(answers.map(({ deviceId }) => deviceId)).toEqual(gateways.map(({ name }) => name));
    for (const { name } of gateways) {
      expect(service.stored("registration", name)).toMatchObject({ status: "assigned", deviceId: name });
    }
    // Restarted, the service still knows everybody, and everybody keeps the hub that it had.
    await service.stop();
    await service.restart();
    const again = await Promise.all(gateways.map(({ gateway }) => succeed(gateway.run("reprovision"))));
    expect(again.map(({ assignedHub }) => assignedHub)).toEqual(
      answers.map(({ assignedHub }) => assignedHub),
    );
  } finally {
    for (const { gateway } of gateways) gateway[Symbol.dispose]();
  }
});
