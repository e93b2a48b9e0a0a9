// The local service is killed in the middle of its work, again and again: whatever it acknowledged is there
// afterwards, unchanged, and nothing is damaged.

import { createHmac, randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { Agent, request } from "node:https";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { text } from "node:stream/consumers";
import { expect, it } from "vitest";
import { openServiceClient, type ServiceClient } from "../../src/enrollment/client.ts";
import { parseConnectionString } from "../../src/enrollment/connection-string.ts";
import { backupStore } from "../../src/service/backup.ts";
import { systemClock } from "../../src/system/clock.ts";
import { type LocalService, startService } from "../support/local-service.ts";

const kills = 10;
const clients = 12;
const groupKey = randomBytes(32);
const never = new AbortController().signal;

/** What the service said yes to. */
interface Acknowledged {
  /** The last etag of each enrollment; undefined when its deletion was acknowledged. */
  readonly etags: Map<string, string | undefined>;
  readonly registrations: Set<string>;
}

it("loses nothing that it acknowledged, however often it is killed", async () => {
  await using service = await startService();
  const acknowledged: Acknowledged = { etags: new Map(), registrations: new Set() };
  await service.enroll("/enrollmentGroups/fleet", {
    attestation: { type: "symmetricKey", symmetricKey: { primaryKey: groupKey.toString("base64") } },
  });
  for (let round = 0; round < kills; round++) {
    // At another moment each time: after so many answers, in the middle of others.
    await workUntil(service, { round, acknowledged, answers: 15 + 13 * round });
    await service.restart();
    await verify(service, acknowledged);
  }
  expect(acknowledged.registrations.size).toBeGreaterThan(kills * 5);
  expect(acknowledged.etags.size).toBeGreaterThan(kills * 5);
  await expect(
    verify(service, { etags: new Map([["never", '"x"']]), registrations: new Set() }),
  ).rejects.toThrow();
  await service.stop();
  using db = new DatabaseSync(join(service.dataDirectory, "service.db"));
  expect(db.prepare("PRAGMA integrity_check").all()).toEqual([{ integrity_check: "ok" }]);
});

it("is copied whole while it works", async () => {
  await using service = await startService();
  const acknowledged: Acknowledged = { etags: new Map(), registrations: new Set() };
  await service.enroll("/enrollmentGroups/fleet", {
    attestation: { type: "symmetricKey", symmetricKey: { primaryKey: groupKey.toString("base64") } },
  });
  const before = { etags: new Map<string, string | undefined>(), registrations: new Set<string>() };
  const file = join(service.dataDirectory, "copy.db");
  await workUntil(service, { round: 0, acknowledged, answers: 200 }, () => {
    if (acknowledged.registrations.size !== 20 || before.registrations.size > 0) return;
    for (const id of acknowledged.registrations) before.registrations.add(id);
    backupStore(service.dataDirectory, file);
  });
  using copy = new DatabaseSync(file, { readOnly: true });
  const found = copy.prepare("SELECT 1 FROM registration WHERE key = ?");
  expect(before.registrations.size).toBe(20);
  for (const id of before.registrations) expect(found.get(id), id).toBeDefined();
});

/** Clients create, change and delete enrollments and register devices, until the service is killed. */
async function workUntil(
  service: LocalService,
  { round, acknowledged, answers }: { round: number; acknowledged: Acknowledged; answers: number },
  onAnswer = (): void => {},
): Promise<void> {
  const operator = openOperator(service);
  const agent = new Agent({ ca: readFileSync(service.caFile), keepAlive: true });
  let count = 0;
  let killed: Promise<void> | undefined;
  const tick = (): void => {
    count += 1;
    onAnswer();
    if (count === answers) killed = service.kill();
  };
  const client = async (number: number): Promise<void> => {
    for (let n = 0; killed === undefined; n++) {
      const id = `gw-${round}-${number}-${n}`;
      const work = number % 2 === 0 ? enroll(operator, id, acknowledged, tick) : register(service, agent, id);
      if (!(await work.catch(() => false))) break;
      if (number % 2 === 0) continue;
      acknowledged.registrations.add(id);
      tick();
    }
  };
  await Promise.all(Array.from({ length: clients }, (_, number) => client(number)));
  await killed;
  expect(count, "the service gave up by itself").toBeGreaterThanOrEqual(answers);
  agent.destroy();
  operator.close();
}

/** Puts, changes, and sometimes deletes; what is not acknowledged may have happened or not, and is forgotten. */
async function enroll(
  { enrollments }: ServiceClient,
  registrationId: string,
  { etags }: Acknowledged,
  tick: () => void,
): Promise<boolean> {
  const row = { registrationId, attestation: { type: "symmetricKey" } } as const;
  const created = await enrollments.put(registrationId, row, { signal: never });
  etags.set(registrationId, String(created.etag));
  tick();
  etags.delete(registrationId);
  const changed = await enrollments.put(registrationId, { ...created, deviceId: "x" }, { signal: never });
  etags.set(registrationId, String(changed.etag));
  tick();
  if (registrationId.endsWith("3")) {
    etags.delete(registrationId);
    await enrollments.delete(registrationId, { signal: never });
    etags.set(registrationId, undefined);
    tick();
  }
  return true;
}

async function register({ idScope, httpsPort }: LocalService, agent: Agent, id: string): Promise<boolean> {
  const hmac = (key: Buffer, data: string): Buffer => createHmac("sha256", key).update(data).digest();
  const path = `${idScope}/registrations/${id}`;
  const [sr, se] = [encodeURIComponent(path), Math.floor(Date.now() / 1000) + 600];
  const sig = encodeURIComponent(hmac(hmac(groupKey, id), `${sr}\n${se}`).toString("base64"));
  const answer = await new Promise<string>((resolve, reject) => {
    request(
      `https://localhost:${httpsPort}/${path}/register?api-version=2021-06-01`,
      {
        ...{ agent, method: "PUT" },
        headers: { authorization: `SharedAccessSignature sr=${sr}&sig=${sig}&se=${se}&skn=registration` },
      },
      (response) => text(response).then(resolve, reject),
    )
      .on("error", reject)
      .end();
  });
  return JSON.parse(answer).status === "assigned";
}

async function verify(service: LocalService, { etags, registrations }: Acknowledged): Promise<void> {
  using db = new DatabaseSync(join(service.dataDirectory, "service.db"), { readOnly: true });
  const enrollment = db.prepare("SELECT document ->> '$.etag' AS etag FROM enrollment WHERE key = ?");
  const registration = db.prepare("SELECT document ->> '$.status' AS status FROM registration WHERE key = ?");
  const device = db.prepare("SELECT 1 FROM device WHERE device_id = ?");
  for (const [id, etag] of etags) expect(enrollment.get(id)?.["etag"], id).toBe(etag);
  for (const id of registrations) {
    expect(registration.get(id)?.["status"], id).toBe("assigned");
    expect(device.get(id), id).toBeDefined();
  }
  // And it says so itself.
  const operator = openOperator(service);
  const [id = "", etag] = [...etags].findLast(([, each]) => each !== undefined) ?? [];
  if (etag) expect((await operator.enrollments.get(id, { signal: never })).etag).toBe(etag);
  operator.close();
}

const openOperator = ({ connectionString, caFile }: LocalService): ServiceClient =>
  openServiceClient({
    connection: parseConnectionString(connectionString),
    ca: readFileSync(caFile, "utf8"),
    clock: systemClock,
  });
