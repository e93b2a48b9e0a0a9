// The local provisioning service as a process of its own, its operator, and a look into its database.

import { spawn } from "node:child_process";
import { createHmac } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { request } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { DatabaseSync } from "node:sqlite";
import { setTimeout as pause } from "node:timers/promises";
import { expect } from "vitest";
import { environment, mooring, program, type Run } from "./mooring.ts";

interface Ready {
  readonly idScope: string;
  readonly httpsPort: number;
  readonly mqttPort: number;
  readonly caFile: string;
  readonly connectionString: string;
  /** A link that lets one browser in, once. */
  readonly portal: string;
}

export interface LocalService extends Ready, AsyncDisposable {
  readonly dataDirectory: string;
  /** Of the process that runs now. */
  readonly pid: number;
  /** What it said after it was ready, one object a line. */
  readonly events: readonly Record<string, unknown>[];
  /** SIGTERM; it has to end by itself. All its events are there then, and its data stays until disposal. */
  stop(): Promise<void>;
  /** SIGKILL: the process is gone when this resolves, and said nothing. */
  kill(): Promise<void>;
  /** Makes the same service run again, with its data and on its ports. */
  restart(): Promise<void>;
  /** `mooring enrollment …` with this service's credentials. */
  operator(...args: readonly string[]): Promise<Run>;
  /** PUT through the service API, as raw JSON. */
  enroll(path: `/enrollments/${string}` | `/enrollmentGroups/${string}`, record: object): Promise<void>;
  /** A row of its database. */
  stored(table: "registration" | "device", key: string): Record<string, unknown>;
}

/** `--retry-after 0` unless told otherwise: registrations then end with the first answer. */
export async function startService(...args: readonly string[]): Promise<LocalService> {
  const directory = mkdtempSync(join(tmpdir(), "mooring-service-"));
  const dataDirectory = join(directory, "data");
  const events: Record<string, unknown>[] = [];
  let running = await launch(dataDirectory, ["0", "0"], args, events);
  const { ready } = running;
  const env = { MOORING_SERVICE: ready.connectionString, MOORING_SERVICE_CA: ready.caFile };

  return {
    ...ready,
    dataDirectory,
    get pid() {
      return running.pid;
    },
    events,
    stop: () => running.stop(),
    kill: () => running.kill(),
    restart: async () => {
      const ports = [`${ready.httpsPort}`, `${ready.mqttPort}`] as const;
      // Somebody's connection may have the port just now.
      const again = async (): ReturnType<typeof launch> => {
        await pause(1000);
        return launch(dataDirectory, ports, args, events);
      };
      running = await launch(dataDirectory, ports, args, events).catch(again);
    },
    operator: (...command) => mooring(command, { env }),
    enroll: async (path, record) => {
      const answer = await put(ready, path, record);
      expect(answer.status, answer.body).toBe(200);
    },
    stored: (table, key) => {
      using database = new DatabaseSync(join(dataDirectory, "service.db"), { readOnly: true });
      const column = table === "device" ? "device_id" : "key";
      const row = database.prepare(`SELECT document FROM ${table} WHERE ${column} = ?`).get(key);
      return JSON.parse(String(row?.["document"] ?? "{}"));
    },
    [Symbol.asyncDispose]: async () => {
      await running.stop();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

async function launch(
  dataDirectory: string,
  [httpsPort, mqttPort]: readonly [string, string],
  args: readonly string[],
  events: Record<string, unknown>[],
): Promise<{ ready: Ready; pid: number; stop: () => Promise<void>; kill: () => Promise<void> }> {
  const retryAfter = args.includes("--retry-after") ? [] : ["--retry-after", "0"];
  const child = spawn(
    process.execPath,
    [
      ...[program, "service", "run", "--json", "--data", dataDirectory],
      ...["--https-port", httpsPort, "--mqtt-port", mqttPort, ...retryAfter, ...args],
    ],
    { env: environment(), stdio: ["ignore", "pipe", "inherit"] },
  );
  const lines = createInterface({ input: child.stdout });
  const ended = once(child, "close");
  const first = await Promise.race([once(lines, "line"), ended]);
  if (child.exitCode !== null) throw new Error(`the local service ended with ${child.exitCode}`);
  lines.on("line", (line) => events.push(JSON.parse(line)));
  return {
    ready: JSON.parse(String(first[0])) as Ready,
    pid: child.pid as number,
    stop: async () => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.kill("SIGTERM");
      await ended;
      expect(child.exitCode).toBe(0);
    },
    kill: async () => {
      child.kill("SIGKILL");
      await ended;
    },
  };
}

async function put(
  { connectionString, caFile }: Ready,
  path: string,
  record: object,
): Promise<{ status: number; body: string }> {
  const [, host = "", policy = "", key = ""] =
    /^HostName=([^;]+);SharedAccessKeyName=([^;]+);SharedAccessKey=(.+)$/.exec(connectionString) ?? [];
  const sending = request(`https://${host}${path}?api-version=2021-10-01`, {
    method: "PUT",
    ca: readFileSync(caFile),
    agent: false,
    headers: { authorization: sasToken(host, key, policy), "content-type": "application/json" },
  });
  sending.end(JSON.stringify(record));
  const [answer] = await once(sending, "response");
  let body = "";
  for await (const chunk of answer) body += chunk;
  return { status: answer.statusCode, body };
}

/** As IoT Hub's and DPS's documents describe it. `key` is base64. */
function sasToken(resource: string, key: string, keyName: string, lifetimeSeconds = 600): string {
  const sr = encodeURIComponent(resource);
  const se = Math.floor(Date.now() / 1000) + lifetimeSeconds;
  const sig = createHmac("sha256", Buffer.from(key, "base64")).update(`${sr}\n${se}`).digest("base64");
  return `SharedAccessSignature sr=${sr}&sig=${encodeURIComponent(sig)}&se=${se}&skn=${keyName}`;
}
