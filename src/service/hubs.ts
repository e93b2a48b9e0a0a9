// Linking hubs to the service, changing what allocation knows of them, and unlinking them.

import * as v from "valibot";
import { MooringError } from "../errors.ts";
import { hostName } from "./enrollment-body.ts";
import { jsonObject, readInput } from "./json-input.ts";
import type { LinkedHub } from "./records.ts";
import { Refusal } from "./refusal.ts";
import type { Store } from "./store.ts";
import { keyOf } from "./tables.ts";

/** Linked hubs of one service (DPS limits). */
const mostHubs = 50;

const settings = jsonObject({
  allocationWeight: v.nullish(
    v.pipe(
      v.number(),
      v.integer("not a whole number"),
      v.minValue(1, "less than 1"),
      v.maxValue(1000, "more than 1000"),
    ),
  ),
  latencyMs: v.nullish(
    v.pipe(v.number(), v.minValue(0, "negative"), v.maxValue(600_000, "more than 600000")),
  ),
});

export interface HubView {
  readonly hostName: string;
  readonly allocationWeight: number;
  readonly latencyMs?: number;
  readonly devices: number;
}

export function viewHubs({ hubs }: Store): HubView[] {
  const devices = hubs.deviceCounts();
  return hubs.all().map(({ placeholder: _, ...hub }) => ({
    ...hub,
    devices: devices.get(keyOf(hub.hostName)) ?? 0,
  }));
}

/** Links a hub, or changes one; what `body` does not mention stays, and a latency of null goes. */
export function putHub(store: Store, name: string, body: unknown): void {
  const named = v.safeParse(hostName, name);
  if (!named.success) throw new Refusal(400000, `hostName: ${named.issues[0].message}`);
  const { allocationWeight, latencyMs } = readInput(settings, body ?? {});
  store.transaction(() => {
    const before = store.hubs.get(name);
    const linked = store.hubs.all().filter(({ placeholder }) => !placeholder).length;
    if (!before && linked >= mostHubs) throw new Refusal(409000, `Quota exceeded: ${mostHubs} linked hubs.`);
    const latency = latencyMs === undefined ? before?.latencyMs : latencyMs;
    store.hubs.put({
      hostName: before?.hostName ?? name,
      allocationWeight: allocationWeight ?? before?.allocationWeight ?? 1,
      ...(latency !== null && latency !== undefined && { latencyMs: latency }),
    });
  });
}

/** Links those of `names` that are not; the others stay as they are. Throws ERR_USAGE for a name that is none. */
export function linkHubs({ hubs, transaction }: Store, names: readonly string[]): void {
  const wrong = names.find((name) => !v.safeParse(hostName, name).success);
  if (wrong !== undefined)
    throw new MooringError("ERR_USAGE", `cannot link the hub ${JSON.stringify(wrong)}: not a host name`);
  transaction(() => {
    for (const hostName of names) {
      const before = hubs.get(hostName);
      if (!before || before.placeholder) hubs.put({ hostName, allocationWeight: 1 });
    }
  });
}

/** Devices stay where they are until they register again. `force` unlinks a hub that is needed, too. */
export function unlinkHub(store: Store, name: string, { force }: { force: boolean }): void {
  store.transaction(() => {
    const hub: LinkedHub | undefined = store.hubs.get(name);
    if (!hub) throw new Refusal(404000, `Hub not linked: ${JSON.stringify(name)}.`);
    if (!force) verifyNotNeeded(store, hub);
    store.hubs.delete(name);
  });
}

function verifyNotNeeded({ hubs }: Store, { hostName }: LinkedHub): void {
  const naming = hubs.enrollmentsNaming(hostName);
  if (naming > 0) {
    const who = naming === 1 ? "1 enrollment names" : `${naming} enrollments name`;
    throw new Refusal(409000, `${who} ${hostName}; change them first, or unlink it with force=true.`);
  }
  if (hubs.all().length === 1) {
    throw new Refusal(
      409000,
      `${hostName} is the only hub; without it no device is assigned. Link another first, or use force=true.`,
    );
  }
}
