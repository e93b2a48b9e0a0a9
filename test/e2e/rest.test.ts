// What a resting daemon has in memory, by name rather than by size: files of the bundle and Node's own modules.

import { randomUUID } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { daemonTable } from "../support/daemon.ts";
import { createGateway, type Gateway } from "../support/gateway.ts";
import { type LocalService, startService } from "../support/local-service.ts";
import { startMooring, succeed } from "../support/mooring.ts";
import { issue, x509Identity } from "../support/pki.ts";

let service: LocalService;

beforeAll(async () => {
  service = await startService();
});
afterAll(() => service[Symbol.asyncDispose]());

async function provisionedGateway(): Promise<Gateway> {
  const name = `gw-${randomUUID()}`;
  const gateway = createGateway();
  const { certificate, certificateFile, keyFile } = issue(gateway.directory, name);
  gateway.configure(service, {
    identity: x509Identity(certificateFile, keyFile),
    outputs: daemonTable(gateway),
  });
  await service.enroll(`/enrollments/${name}`, {
    registrationId: name,
    attestation: { type: "x509", x509: { clientCertificates: { primary: { certificate } } } },
  });
  await succeed(gateway.run("provision"));
  return gateway;
}

/** Names of the modules that `mooring run` has loaded when it stops: Node's own, and ours as `dist/NAME.js`. */
async function loadedBy(gateway: Gateway, more = ""): Promise<string[]> {
  const list = gateway.file("loaded");
  const witness = gateway.file("witness.cjs");
  const trace = gateway.file("trace");
  writeFileSync(
    witness,
    `process.on("exit", () => require("node:fs").writeFileSync(${JSON.stringify(list)}, process.moduleLoadList.join("\\n")));${more}`,
  );
  const { ended } = startMooring(["run", "--config", gateway.configFile], {
    under: ["strace", "-f", "--seccomp-bpf", "-e", "trace=openat", "-o", trace],
    env: { NODE_OPTIONS: `--require=${witness}`, MOORING_LOG: "json" },
  });
  const alive = async (): Promise<{ pid?: number }> =>
    (await succeed(gateway.run("status")))["alive"] as { pid?: number };
  await expect.poll(alive, { timeout: 30_000 }).toHaveProperty("pid");
  process.kill((await alive()).pid ?? 0, "SIGTERM");
  const { code, stderr } = await ended;
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  const files = [...readFileSync(trace, "utf8").matchAll(/\/(dist\/[\w-]+\.js)"/g)].map(
    ([, file]) => `${file}`,
  );
  const builtins = readFileSync(list, "utf8").match(/(?<=^NativeModule )[a-z_]+$/gm) ?? [];
  return [...new Set([...files, ...builtins])];
}

/** What only other commands, errands or services need. */
const heavy = [
  ...["dist/program.js", "dist/mqtt.js", "dist/pkcs12.js", "dist/journal.js", "dist/systeminformation.js"],
  ...["http", "https", "tls", "perf_hooks", "worker_threads", "sqlite", "zlib", "readline", "assert"],
];

describe("a daemon that keeps its assignment", () => {
  it("has loaded its own file, and nothing that only others need", async () => {
    using gateway = await provisionedGateway();
    const loaded = await loadedBy(gateway);
    expect(loaded.filter((name) => name.startsWith("dist/")).sort()).toEqual([
      "dist/errors.js",
      "dist/main.js",
      "dist/resident.js",
    ]);
    expect(loaded).toEqual(expect.arrayContaining(["net", "crypto"]));
    expect(loaded.filter((name) => heavy.includes(name))).toEqual([]);
  });

  it("would be seen to load more", async () => {
    using gateway = await provisionedGateway();
    const loaded = await loadedBy(gateway, 'require("node:https"); performance.now();');
    expect(loaded).toEqual(expect.arrayContaining(["https", "perf_hooks"]));
  });
});
