// What a gateway may have lost after an accident, as others see it: the program without network, other programs that
// read its files, and tpm2-tools.

import { createHash, createHmac } from "node:crypto";
import { existsSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Assignment, decodeAssignment } from "../../src/assignment/assignment.ts";
import { lastingEnvironment } from "../../src/assignment/published.ts";
import type { Gateway } from "./gateway.ts";
import { hubKeyHandle } from "./hub-key.ts";
import type { LocalService } from "./local-service.ts";
import type { Swtpm } from "./swtpm.ts";

const rootKeys = ["0x81000001", "0x81010001"];
const marker = "0x1800100";

/** What the TPM holds of others: it is nobody's business. */
export interface Foreign {
  readonly handle: string;
  readonly name: string;
}

export interface Expected {
  /** Device ids whose assignment may be the current one. */
  readonly served: readonly string[];
  /** There may be no assignment: there was none before. */
  readonly mayHaveNone?: boolean;
  /** Knows the hub's keys. */
  readonly service: LocalService;
  readonly foreign: Foreign | undefined;
}

/** Findings in words; none when everything is as expected. */
export async function findLosses(
  gateway: Gateway,
  swtpm: Swtpm | undefined,
  expected: Expected,
): Promise<string[]> {
  const held = swtpm && (await heldIn(swtpm));
  const foreign = expected.foreign;
  const losses: string[] = [];
  if (foreign && swtpm && (await nameAt(swtpm, foreign.handle)) !== foreign.name)
    losses.push(`the object of others at ${foreign.handle} was touched`);
  const known = [...rootKeys, hubKeyHandle, ...(foreign ? [foreign.handle] : [])];
  losses.push(...strangers("persistent handle", held?.persistent ?? [], known));
  losses.push(...strangers("NV index", held?.indices ?? [], [marker]));

  const current = join(gateway.stateDirectory, "current");
  if (!existsSync(current)) {
    if (!expected.mayHaveNone) losses.push("there is no current assignment");
    if (held?.persistent.includes(hubKeyHandle)) losses.push("the TPM holds a hub key of no assignment");
    return losses;
  }
  if (!/^generations\/\d{6}$/.test(readlinkSync(current))) losses.push("`current` leads astray");
  const hubKeyFile = join(current, "hub-key.tpm");
  const hubKey = existsSync(hubKeyFile) ? readFileSync(hubKeyFile) : undefined;
  const reading = decodeAssignment(readFileSync(join(current, "assignment.json"), "utf8"), hubKey);
  if (reading.state !== "good") return [...losses, `the current generation is ${reading.state}`];
  const { assignment } = reading;
  const { deviceId } = assignment;
  if (!expected.served.includes(deviceId)) losses.push(`the assignment of ${deviceId} is served`);

  const output = readFileSync(join(gateway.stateDirectory, "hub.env"), "utf8");
  if (!output.includes(`IOTHUB_DEVICE_ID="${deviceId}"\n`)) losses.push(`hub.env does not name ${deviceId}`);
  if (digestOf(assignment) !== announcedIn(gateway)) losses.push(`${deviceId} is not announced`);
  if (swtpm) {
    if (!assignment.hubKey || !hubKey) losses.push("the assignment has no hub key");
    else if ((await nameAt(swtpm, hubKeyHandle)) !== assignment.hubKey.name)
      losses.push("the TPM does not hold the hub key of the assignment");
    else if (!(await signsWithHubKey(swtpm, deviceId, expected.service)))
      losses.push("the hub key signs wrongly");
  }
  return losses;
}

/** What systemd, and `mooring wait`, would go by. */
function announcedIn({ stateDirectory }: Gateway): string | undefined {
  const file = join(stateDirectory, "announced");
  return existsSync(file) ? readFileSync(file, "utf8").split("\n", 1)[0] : undefined;
}

const digestOf = (assignment: Assignment): string =>
  createHash("sha256")
    .update(JSON.stringify(lastingEnvironment(assignment)))
    .digest("hex");

const kept = ["announced", "attempts.json", "current", "generations", "hub.env", "lock"];

/**
 * Behind an accident these may lie there for a while: the next who locks, makes another one current, notes an attempt or
 * announces reuses or removes them.
 */
const reused = [/^lock-journal$/, /^\.current\.new$/, /^\.(attempts\.json|announced)\.mooring-/];

/** What a finished run must not leave lying about. */
export function findLitter({ stateDirectory }: Gateway): string[] {
  const generations = readdirSync(join(stateDirectory, "generations"));
  const litter = readdirSync(stateDirectory).filter(
    (name) => !kept.includes(name) && !reused.some((pattern) => pattern.test(name)),
  );
  if (generations.length > 2 || generations.some((name) => !/^\d{6}$/.test(name)))
    litter.push(...generations);
  for (const generation of generations) {
    const names = readdirSync(join(stateDirectory, "generations", generation));
    litter.push(...names.filter((name) => name.startsWith(".")));
  }
  return litter.map((name) => `${name} is left behind`);
}

const strangers = (what: string, found: readonly string[], known: readonly string[]): string[] =>
  found
    .filter((handle) => !known.includes(handle))
    .map((handle) => `an unknown ${what} ${handle} is in the TPM`);

async function heldIn(swtpm: Swtpm): Promise<{ persistent: string[]; indices: string[] }> {
  const list = async (capability: string): Promise<string[]> =>
    ((await swtpm.tool("tpm2_getcap", capability)).match(/0x[0-9A-F]+/gi) ?? []).map((text) =>
      text.toLowerCase(),
    );
  return { persistent: await list("handles-persistent"), indices: await list("handles-nv-index") };
}

/** Name of what is at a handle; empty when nothing is. */
export const nameAt = async (swtpm: Swtpm, handle: string): Promise<string> =>
  /^name: *([0-9a-f]+)/m.exec(await swtpm.tool("tpm2_readpublic", "-c", handle).catch(() => ""))?.[1] ?? "";

/** A device that the hub knows no more, because it was moved meanwhile, has no key to compare with. */
async function signsWithHubKey(swtpm: Swtpm, deviceId: string, service: LocalService): Promise<boolean> {
  const message = "hub.example%2fdevices%2fgateway\n1789000000";
  writeFileSync(join(swtpm.directory, "message"), message);
  await swtpm.tool("tpm2_hmac", "-c", hubKeyHandle, "-o", "hmac", "message");
  const { authentication } = service.stored("device", deviceId) as {
    authentication?: { primaryKey: string };
  };
  if (!authentication) return true;
  const key = Buffer.from(authentication.primaryKey, "base64");
  const hmac = createHmac("sha256", key).update(message).digest();
  return hmac.equals(readFileSync(join(swtpm.directory, "hmac")));
}
