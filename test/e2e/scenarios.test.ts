// What `mooring reprovision` makes of every scenario of the local service, over HTTPS and over MQTT: it ends with the
// right code, and never without the assignment that it had.

import { randomBytes } from "node:crypto";
import { writeFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { ErrorCode } from "../../src/errors.ts";
import { createGateway, type Gateway, publicPart } from "../support/gateway.ts";
import { type LocalService, startService } from "../support/local-service.ts";
import { refuse, succeed } from "../support/mooring.ts";
import { tpmIdentity } from "../support/pki.ts";
import { startSwtpm } from "../support/swtpm.ts";

let service: LocalService;

beforeAll(async () => {
  service = await startService("--hub", "hub.example");
});
afterAll(() => service[Symbol.asyncDispose]());

const scenario = async (...args: readonly string[]): Promise<void> => {
  const run = await service.operator("service", "scenario", ...args);
  expect(run, run.stderr).toMatchObject({ code: 0 });
};

/** A gateway with a key of its own, provisioned already. */
interface Provisioned extends Gateway {
  within(deadline: string): void;
}

async function provisioned(name: string, transport: "https" | "mqtt"): Promise<Provisioned> {
  const gateway = createGateway();
  const key = randomBytes(32).toString("base64");
  const keyFile = gateway.file("key");
  writeFileSync(keyFile, key, { mode: 0o600 });
  gateway.keepSecret(key);
  const identity = `[identity]\nsource = "symmetric-key"\nregistration_id = "${name}"\n[identity.symmetric_key]\nkey_file = "${keyFile}"\n`;
  const within = (deadline: string): void =>
    gateway.configure(service, {
      identity,
      provisioning: `transport = "${transport}"\ndeadline = "${deadline}"`,
    });
  within("1min");
  await service.enroll(`/enrollments/${name}`, {
    registrationId: name,
    attestation: { type: "symmetricKey", symmetricKey: { primaryKey: key, secondaryKey: key } },
  });
  await succeed(gateway.run("provision"));
  return Object.assign(gateway, { within });
}

const applied = (name: string): unknown[] =>
  service.events.filter((each) => each["event"] === "scenario.applied" && each["registrationId"] === name);

describe.each(["https", "mqtt"] as const)("over %s, a gateway", (transport) => {
  it.concurrent.each<{ order: string; says?: ErrorCode }>([
    { order: "throttle --retry-after 1 --times 1", says: "ERR_THROTTLED" },
    { order: "assigning --polls 1 --times 1" },
    { order: "duplicate" },
    { order: "late --delay 300 --times 1" },
    { order: "cut-after-202 --times 1", ...(transport === "mqtt" && { says: "ERR_CONNECTION_LOST" }) },
    { order: "disconnect --times 1", says: "ERR_CONNECTION_LOST" },
    { order: "clock-skew --skew 120" },
  ])(
    "gets through: $order",
    async ({ order, says }) => {
      const name = `through-${transport}-${order.split(" ")[0]}`;
      using gateway = await provisioned(name, transport);
      await scenario("set", ...order.split(" "), "--enrollment", name);
      // Over HTTPS the second registration is the first to be answered with an operation of before.
      if (order === "duplicate") await succeed(gateway.run("reprovision"));
      const run = await gateway.run("reprovision");
      expect(run, run.stderr).toMatchObject({ code: 0, json: { assignedHub: "hub.example" } });
      expect(run.stderr).toMatch(says ? new RegExp(`^ +[0-9.]+ s  ${says}; trying again in .+\n$`) : /^$/);
      expect(applied(name)).not.toEqual([]);
    },
    60_000,
  );

  it.concurrent.each<{ order: string; code: ErrorCode; deadline?: string }>([
    { order: "throttle --retry-after 30", code: "ERR_THROTTLED" },
    { order: "assigning-forever", code: "ERR_DEADLINE" },
    { order: "late --delay 60000", code: "ERR_DEADLINE" },
    { order: "wrong-key", code: "ERR_UNAUTHORIZED" },
    { order: "malformed-json", code: "ERR_PROTOCOL" },
    // Only HTTPS carries a date.
    {
      order: "clock-skew --skew 86400",
      code: transport === "https" ? "ERR_CLOCK_IMPLAUSIBLE" : "ERR_UNAUTHORIZED",
      deadline: "2s", // with more it asks again, by the service's time, and succeeds
    },
    { order: "disconnect", code: "ERR_CONNECTION_LOST" },
  ])(
    "keeps what it has, and says $code: $order",
    async ({ order, code, deadline = "4s" }) => {
      const name = `keeps-${transport}-${order.split(" ")[0]}`;
      using gateway = await provisioned(name, transport);
      const before = publicPart(gateway.assignment());
      await scenario("set", ...order.split(" "), "--enrollment", name);
      gateway.within(deadline);
      await refuse(gateway.run("reprovision"), code);
      expect(applied(name)).not.toEqual([]);
      expect(publicPart(gateway.assignment())).toEqual(before);

      gateway.within("1min");
      await scenario("clear", "--enrollment", name);
      expect(await succeed(gateway.run("reprovision"))).toMatchObject({ assignedHub: "hub.example" });
    },
    60_000,
  );
});

it("a gateway with a TPM refuses a challenge that is not for it, and is let in afterwards", async () => {
  await using tpm = await startSwtpm();
  using gateway = createGateway();
  gateway.configure(service, { identity: tpmIdentity(tpm.tcti, `registration_id = "tpm-1"`) });
  const { endorsementKey } = (await gateway.run("identity show")).json;
  await service.enroll("/enrollments/tpm-1", {
    registrationId: "tpm-1",
    attestation: { type: "tpm", tpm: { endorsementKey } },
  });
  const first = await succeed(gateway.run("provision"));
  await scenario("set", "wrong-key", "--enrollment", "tpm-1");
  await refuse(gateway.run("reprovision"), "ERR_TPM_KEY_REJECTED");
  expect(publicPart(gateway.assignment())).toMatchObject({ deviceId: first["deviceId"] });
  await scenario("clear", "--all");
  await succeed(gateway.run("reprovision"));
});
