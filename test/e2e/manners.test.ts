// The manners of the built daemon: what it remembers of attempts when it is stopped, killed or given a damaged file.

import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { daemonTable, startDaemon } from "../support/daemon.ts";
import { createGateway, type Gateway } from "../support/gateway.ts";
import { startService } from "../support/local-service.ts";
import { refuse } from "../support/mooring.ts";
import { issue, x509Identity } from "../support/pki.ts";

function gatewayFor(service: { idScope: string; httpsPort: number; mqttPort: number }): Gateway {
  const gateway = createGateway();
  const { certificateFile, keyFile } = issue(gateway.directory, "gw-0001");
  gateway.configure(service, {
    identity: x509Identity(certificateFile, keyFile),
    provisioning: 'transport = "https"',
    outputs: daemonTable(gateway),
  });
  return gateway;
}

/** Takes connections and says nothing. */
async function silentService() {
  const sockets: Socket[] = [];
  const server = createServer((socket) => void sockets.push(socket.on("error", () => {})));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    idScope: "0ne0000AAAA",
    httpsPort: port,
    mqttPort: port,
    sockets,
    [Symbol.dispose]: () => {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}

const recordOf = (gateway: Gateway): Record<string, unknown> =>
  JSON.parse(readFileSync(join(gateway.stateDirectory, "attempts.json"), "utf8"));

describe("the daemon", () => {
  it("counts every attempt in which it was killed, and waits after it", async () => {
    using service = await silentService();
    using gateway = gatewayFor(service);
    for (const cutOff of [0, 1]) {
      await using daemon = startDaemon(gateway);
      await expect.poll(() => service.sockets.length, { timeout: 60_000 }).toBeGreaterThan(cutOff);
      expect(recordOf(gateway)).toMatchObject({
        failures: cutOff === 0 ? {} : { "back-off": cutOff },
        running: { trigger: "first-boot" },
        wait: { because: "the attempt before was cut off" },
      });
      const { left } = recordOf(gateway)["budget"] as { left: number };
      expect(Math.floor(left)).toBe(13 - cutOff);
      daemon.child.kill("SIGKILL");
      await daemon.ended;
    }
  });

  it("asks no sooner for having been started again", async () => {
    await using service = await startService();
    using gateway = gatewayFor(service);
    {
      await using daemon = startDaemon(gateway);
      await daemon.logged("provisioning.failed");
      daemon.child.kill("SIGTERM");
      await daemon.ended;
    }
    await using again = startDaemon(gateway);
    await again.shows({
      alive: { activity: "waiting" },
      lastFailure: { code: "ERR_NOT_ENROLLED", trigger: "first-boot" },
      nextAttempt: { because: expect.stringContaining("something has to be changed") },
    });
    expect(again.events.filter(({ event }) => event === "provisioning.started")).toEqual([]);
    expect(recordOf(gateway)).toMatchObject({ failures: { slow: 1 } });
  });

  it("sets aside a record that it cannot read, and goes on", async () => {
    await using service = await startService();
    using gateway = gatewayFor(service);
    await gateway.run("provision");
    writeFileSync(join(gateway.stateDirectory, "attempts.json"), "{ torn");
    await using daemon = startDaemon(gateway);
    await daemon.logged("attempts.quarantined");
    await daemon.logged("provisioning.failed");
    const aside = join(gateway.stateDirectory, "quarantine");
    const [name = ""] = readdirSync(aside);
    expect(readFileSync(join(aside, name), "utf8")).toBe("{ torn");
    expect(recordOf(gateway)).toMatchObject({ failures: { slow: 1 } });
  });
});

describe("a unit that is restarted for ever", () => {
  it("is held back by the budget, which a person need not mind", async () => {
    await using service = await startService();
    using gateway = gatewayFor(service);
    expect((await gateway.run("provision")).code).toBe(77);
    const path = join(gateway.stateDirectory, "attempts.json");
    const record = recordOf(gateway);
    writeFileSync(
      path,
      JSON.stringify({ ...record, budget: { ...(record["budget"] as object), left: 0.5 } }),
    );
    const error = await refuse(gateway.run("provision"), "ERR_TOO_MANY_ATTEMPTS");
    expect(error).toMatchObject({ exitCode: 75, retryAfterMs: expect.any(Number) });
    expect(recordOf(gateway)).toMatchObject({ failures: { slow: 1 } });
    expect((await gateway.run("reprovision")).code).toBe(77);
  });
});
